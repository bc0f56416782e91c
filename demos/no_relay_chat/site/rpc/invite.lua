--: args: {channel: {required: true, info: The channel's id.}, person: {required: true, info: Who is to come.}}
local chat = require "_chat"
local channels = require "_channels"

ProcessBlock = chat.procedure(function(me, args)
  local channel = channels.joined(me, args.channel)
  local person = chat.person(args.person) or chat.refuse(404, "there is nobody of this id")
  chat.count_message_of(me)
  channels.invite(channel, person, me)
end)
