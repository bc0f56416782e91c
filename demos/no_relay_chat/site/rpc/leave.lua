--: args: {channel: {required: true, info: The channel's id.}}
local chat = require "_chat"
local channels = require "_channels"

ProcessBlock = chat.procedure(function(me, args)
  channels.leave(channels.joined(me, args.channel), me)
end)
