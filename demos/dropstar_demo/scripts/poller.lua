-- Counts one request after the other, with the delay that the page's slider keeps in shared state.
function ProcessBlock()
  while unidist.sharedlock.is_locked("__running") do
    if not unidist.sharedlock.is_locked("stop_poller") then
      unidist.sharedcounter.increment("requests")
    end
    time.sleep(unidist.sharedstate.get("poller", "delay", 0.2))
  end
end
