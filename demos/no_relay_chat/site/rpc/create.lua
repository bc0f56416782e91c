--: args:
--:   channel: {required: true, info: The new channel's name.}
--:   secret: {type: boolean, info: Only its members know of it.}
--:   invite_only: {type: boolean, info: Only who was invited may join.}
-- A new channel, of which the maker is operator.
local chat = require "_chat"
local channels = require "_channels"

ProcessBlock = chat.procedure(function(me, args)
  return {channel = channels.create(me, args.channel, args).id}
end)
