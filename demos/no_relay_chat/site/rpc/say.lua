--: args: {channel: {required: true, info: The channel's id.}, text: {required: true}}
local chat = require "_chat"
local channels = require "_channels"

ProcessBlock = chat.procedure(function(me, args)
  local channel, text = channels.joined(me, args.channel), chat.text(args.text)
  chat.count_message_of(me)
  channels.say(channel, me, text)
end)
