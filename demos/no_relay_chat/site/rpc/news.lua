--: args: {at: {type: mapping, default: {}, info: "How far each log was read: the key next of the answer before, by id."}}
-- Everything that the person may see and has not seen: of their channels, and what only they are told. A channel that is
-- not in the answer is one they are not in; me is null for who has not logged in.
local chat = require "_chat"
local channels = require "_channels"

local function offset(value)
  return math.max(0, math.tointeger(value) or 0)
end

local function members(channel)
  local list = json.array {}
  for _, id in ipairs(channel.members) do
    local member = chat.person(id)
    if member then list[#list + 1] = {id = id, name = member.name, is_operator = channel.operators[id] == true} end
  end
  return list
end

ProcessBlock = chat.open_procedure(function(me, args)
  if not me then return {me = json.null} end
  me.seen = time.now()
  chat.save(me)
  local mine = json.array {}
  for place, channel in ipairs(channels.of(me)) do
    local page = channels.history(channel, offset(args.at[channel.id]))
    mine[place] = {
      id = channel.id, name = channel.name, is_secret = channel.is_secret, is_invite_only = channel.is_invite_only,
      is_operator = channel.operators[me.id] == true, members = members(channel), entries = page.entries, next = page.next,
    }
  end
  local desk = unidist.sharedlog.read("__chat_desk_" .. me.id, offset(args.at[me.id]), {limit = chat.HISTORY})
  return {me = {id = me.id, name = me.name, feed = me.feed}, channels = mine, desk = desk}
end)
