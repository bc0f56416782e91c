-- Compares the requests of the last seconds with the target that was agreed, and tells when it changes.
local WINDOW = 5   -- seconds

function ProcessBlock()
  local sla = unidist.sharedstate.get("sla", "settings", {target = 4, tolerance = 20})
  local window = unidist.sharedstate.get("sla", "window", json.array {})
  local now = time.now()
  window[#window + 1] = {time = now, total = unidist.sharedcounter.get("requests")}
  while #window > 2 and window[2].time <= now - WINDOW do table.remove(window, 1) end
  unidist.sharedstate.set("sla", "window", window)

  local first, last = window[1], window[#window]
  local rate = last.time > first.time and math.max(0, last.total - first.total) / (last.time - first.time) or 0
  local missing = sla.target > 0 and 100 * (sla.target - rate) / sla.target or 0
  local verdict = "ok"
  if missing > sla.tolerance then
    verdict = "out of tolerance"
  elseif missing > sla.tolerance / 2 then
    verdict = "near tolerance"
  end

  local before = unidist.sharedstate.get("sla", "status", {verdict = "ok"})
  if before.verdict ~= verdict then
    unidist.messagequeue.add("sla_alerts", {
      time = time.format(now),
      text = string.format("%s: %.1f of %g requests a second", verdict, rate, sla.target),
    })
  end
  local shown = math.floor(rate * 10 + 0.5) / 10
  if before.verdict ~= verdict or before.rate ~= shown or before.target ~= sla.target then
    unidist.sharedstate.set("sla", "status", {verdict = verdict, rate = shown, target = sla.target})
  end
  return {rate = rate, verdict = verdict}
end
