--: read only: true
-- The messages, newest last; none is taken away.
function ProcessBlock()
  local lines = json.array {}
  for place, entry in ipairs(unidist.messagequeue.all("wall", {limit = 25})) do
    lines[place] = entry.message.time .. "  " .. entry.message.text
  end
  return {wall = lines, wall_count = #lines}
end
