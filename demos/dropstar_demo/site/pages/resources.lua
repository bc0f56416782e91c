--: title: Shared resources
function ProcessBlock()
  return {
    tab = "resources",
    delay = unidist.sharedstate.get("poller", "delay", 0.2),
    settings = unidist.sharedstate.get("sla", "settings", {target = 4, tolerance = 20}),
    is_stopped = unidist.sharedlock.is_locked("stop_poller"),
    sources = {
      "scripts/poller.lua", "scripts/requests.lua", "scripts/service_level.lua",
      "site/rpc/set_delay.lua", "site/rpc/toggle_poller.lua", "site/rpc/set_sla.lua", "site/templates/resources.html",
    },
  }
end
