--: title: Message queue
function ProcessBlock()
  return {tab = "wall", sources = {"site/rpc/wall_post.lua", "site/rpc/wall_read.lua", "site/templates/wall.html"}}
end
