--: args: {person: {required: true, info: The other's id.}, text: {required: true}}
-- A private message. Both keep it on their desk, and nobody else is told.
local chat = require "_chat"

ProcessBlock = chat.procedure(function(me, args)
  local text, other = chat.text(args.text), chat.person(args.person)
  if not other then chat.refuse(404, "that person has gone") end
  if other.id == me.id then chat.refuse(409, "that is you") end
  chat.count_message_of(me)
  local entry = {kind = "whispered", from = me.id, from_name = me.name, to = other.id, to_name = other.name, text = text}
  chat.tell(other, entry)
  chat.tell(me, entry)
end)
