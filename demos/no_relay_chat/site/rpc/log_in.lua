--: args: {name: {required: true, info: Shown to the others; no two who are here have the same.}}
-- A name and a new session; whoever was logged in by this cookie leaves first.
local chat = require "_chat"
local channels = require "_channels"

ProcessBlock = chat.open_procedure(function(me, args)
  local name, key = chat.name(args.name, "a name")
  if me and me.key == key then return {id = me.id, name = me.name} end
  if me then channels.depart(me) end
  local person = chat.arrive(name, key)
  local cookie = {value = person.session, ["same site"] = "strict"}
  return {id = person.id, name = person.name, __response = {cookies = {[chat.COOKIE] = cookie}}}
end)
