--: args: {channel: {required: true, info: The channel's id.}, person: {required: true, info: The member's id.}}
local chat = require "_chat"
local channels = require "_channels"

ProcessBlock = chat.procedure(function(me, args)
  local channel = channels.run_by(me, args.channel)
  channels.kick(channel, channels.member(channel, args.person), me)
end)
