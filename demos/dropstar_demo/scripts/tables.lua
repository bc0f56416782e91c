-- Lines of a command as a table: the first line names the columns.
local function table_of(lines, columns)
  local rows = json.array {}
  for place, line in ipairs(lines) do
    local row, rest = json.array {}, line
    for column in line:gmatch("%S+") do
      if #row == columns then row[columns] = row[columns] .. " " .. column else row[#row + 1] = column end
    end
    rows[place] = row
  end
  local head = table.remove(rows, 1)
  return {head = head, rows = rows}
end

function ProcessBlock(pipe_data)
  return {
    tab = "system",
    processes = table_of(pipe_data.processes.output, 6),
    disks = table_of(pipe_data.disks.output, 6),
    sources = {"site/pages/system.yaml", "scripts/tables.lua"},
  }
end
