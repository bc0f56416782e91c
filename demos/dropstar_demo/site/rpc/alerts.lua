--: read only: true
-- The last changes of the verdict, newest first.
function ProcessBlock()
  local lines, all = json.array {}, unidist.messagequeue.all("sla_alerts", {limit = 100})
  for place = #all, math.max(1, #all - 9), -1 do
    lines[#lines + 1] = all[place].message.time .. "  " .. all[place].message.text
  end
  return {alerts = lines}
end
