--: title: Internals
--: allow: [file]
--: args: {series: {type: text, default: data/cpu}}
-- What is inside a round-robin file: its fields, its archives, its newest sample, and the text that feeds it.

local function span(seconds)
  for _, unit in ipairs {{86400 * 365, "years"}, {86400, "days"}, {3600, "hours"}, {60, "minutes"}} do
    if seconds >= 2 * unit[1] then return string.format("%.3g %s", seconds / unit[1], unit[2]) end
  end
  return seconds .. " s"
end

-- A file of the demo. With --cwd, paths are relative to another folder.
local function source(name)
  local is_read, text = pcall(file.read, name)
  return is_read and text or "not in the folder that --cwd names: " .. name
end

-- The step of the YAML file that feeds the series: from its "- name:" to the empty line behind it.
local function step_of(text, series)
  local path = series:gsub("^(data/%a+_).*$", "%1")
  for step in text:gmatch("(  %- name:.-\n)\n") do
    if step:find("path: " .. path, 1, true) then return step end
  end
  return ""
end

-- Whole numbers without their ".0".
local function whole(number)
  return number ~= json.null and number and math.tointeger(number) or number
end

local function shown_fields(info)
  local fields = json.array {}
  for place, column in ipairs(info.columns) do
    fields[place] = {
      name = column.name, type = column.kind, heartbeat = column.heartbeat .. " s",
      min = whole(column.min), max = whole(column.max), last = whole(column.last),
    }
  end
  return fields
end

local function shown_archives(info)
  local archives = json.array {}
  for place, archive in ipairs(info.archives) do
    local row = archive.steps * info.step
    archives[place] = {
      consolidation = archive.consolidation, row = span(row), rows = archive.rows, span = span(row * archive.rows),
      unknown = string.format("%g %%", archive.unknown_max * 100),
    }
  end
  return archives
end

function ProcessBlock(pipe_data, block, request_state, input_data)
  local names, found = json.array {}, nil
  for _, status in ipairs(timeseries.status()) do
    local name = status.path:match("(data/[^/]+)%.rrd$")
    names[#names + 1] = name
    if name == input_data.series then found = status end
  end
  table.sort(names)
  local result = {tab = "internals", series = input_data.series, names = names}
  if not found then return result end

  local has_file, info = pcall(timeseries.info, found.path)
  if not has_file then return result end
  local sources = json.array {{name = "system_monitor.yaml", text = step_of(source("system_monitor.yaml"), input_data.series)}}
  if sources[1].text:find("call: {block: ", 1, true) then
    for _, script in ipairs {"scripts/choose.lua", "scripts/kinds.lua"} do
      sources[#sources + 1] = {name = script, text = source(script)}
    end
  end
  result.file = {
    path = found.path, step = info.step, stored = found.stored, late = found.late, repeated = found.repeated,
    dropped = found.dropped, error = found.error, newest = time.format(info.last_update),
    fields = shown_fields(info), archives = shown_archives(info), sources = sources,
  }
  return result
end
