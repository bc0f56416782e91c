-- The stop button: takes the lock that the poller looks at, or releases it. The owner is a name, so that the lock
-- outlives this request.
function ProcessBlock()
  local owner = {owner = "stop_button"}
  if unidist.sharedlock.is_locked("stop_poller") then
    unidist.sharedlock.release("stop_poller", owner)
  else
    unidist.sharedlock.acquire("stop_poller", {owner = "stop_button", wait = 0})
  end
  local is_stopped = unidist.sharedlock.is_locked("stop_poller")
  return {toggle = is_stopped and "Start Request Poller" or "Stop Request Poller", poller = is_stopped and "stopped" or "running"}
end
