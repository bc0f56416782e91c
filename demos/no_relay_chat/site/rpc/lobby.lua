--: read only: true
-- Who is here, and which channels everybody may know of.
local chat = require "_chat"
local channels = require "_channels"

local function by_name(one, other) return one.name:lower() < other.name:lower() end

ProcessBlock = chat.procedure(function()
  local people, listed = json.array {}, json.array {}
  for id, person in pairs(chat.people()) do people[#people + 1] = {id = id, name = person.name} end
  for _, channel in pairs(channels.all()) do
    if not channel.is_secret then
      listed[#listed + 1] = {name = channel.name, members = #channel.members, is_invite_only = channel.is_invite_only}
    end
  end
  table.sort(people, by_name)
  table.sort(listed, by_name)
  return {people = people, channels = listed}
end)
