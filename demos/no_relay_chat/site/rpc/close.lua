--: args: {channel: {required: true, info: The channel's id.}}
local chat = require "_chat"
local channels = require "_channels"

ProcessBlock = chat.procedure(function(me, args)
  channels.close(channels.run_by(me, args.channel), me.name)
end)
