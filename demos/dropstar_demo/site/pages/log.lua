--: title: Log
function ProcessBlock()
  return {tab = "log", sources = {"site/pages/log.lua", "site/rpc/log_tail.lua", "site/templates/log.html"}}
end
