-- Leaves all channels; the name is free again.
local chat = require "_chat"
local channels = require "_channels"

ProcessBlock = chat.procedure(function(me)
  channels.depart(me)
  return {__response = {cookies = {[chat.COOKIE] = json.null}}}
end)
