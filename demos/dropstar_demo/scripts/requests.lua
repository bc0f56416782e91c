-- Requests per second since the last call.
function ProcessBlock()
  local total, now = unidist.sharedcounter.get("requests"), time.now()
  local last = unidist.sharedstate.get_set("poller", "sample", {total = total, time = now})
  local rate = 0
  if last and now > last.time then
    rate = math.max(0, total - last.total) / (now - last.time)
  end
  return {total = total, rate = rate}
end
