--: args: {channel: {required: true, info: The channel's name.}}
local chat = require "_chat"
local channels = require "_channels"

ProcessBlock = chat.procedure(function(me, args)
  return {channel = channels.join(me, args.channel).id}
end)
