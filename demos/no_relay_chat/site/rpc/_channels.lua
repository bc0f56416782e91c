-- Channels: who is in them, who may what, and what was said.
--
--   __chat_channels       id -> {id, name, key, creator, is_secret, is_invite_only, members, operators, invited, kicked}
--   __chat_channel_names  name in small letters -> id
--   __chat_log_ID         a log: the history, the last 200 entries
--
-- A channel that is closed is gone with its log, its name and its members' mark of it in one change: there is nothing
-- left that could be delivered. One of the same name has another id.
local chat = require "_chat"
local state, logs = unidist.sharedstate, unidist.sharedlog

local channels = {}

local CHANNELS_MAX, JOINED_MAX, MEMBERS_MAX = 100, 20, 200

local function place_of(list, value)
  for place, one in ipairs(list) do
    if one == value then return place end
  end
end

local function add(list, value)
  if not place_of(list, value) then table.insert(list, value) end
end

local function take_out(list, value)
  local place = place_of(list, value)
  if place then table.remove(list, place) end
end

local function channel_of(id)
  return state.get("__chat_channels", id, false) or nil
end

local function save(channel)
  state.set("__chat_channels", channel.id, channel)
end

local function log_of(channel)
  return "__chat_log_" .. channel.id
end

-- What everybody may know has changed, unless the channel is one that nobody else may know of.
local function changed(channel)
  if not channel.is_secret then chat.lobby_changed() end
end

local function note(channel, entry)
  logs.append(log_of(channel), entry)
  for _, id in ipairs(channel.members) do
    local member = chat.person(id)
    if member then chat.nudge(member) end
  end
end

local function named(key)
  local id = state.get("__chat_channel_names", key, false)
  return id and channel_of(id)
end

function channels.all()
  return state.bucket("__chat_channels")
end

-- Membership is written at both: a change that was cut off half way, because its request was, makes no member.
local function membership(person, id)
  local channel = place_of(person.channels, id) and channel_of(id)
  return channel and place_of(channel.members, person.id) and channel
end

function channels.of(person)
  local found = {}
  for _, id in ipairs(person.channels) do found[#found + 1] = membership(person, id) or nil end
  return found
end

function channels.history(channel, offset)
  return logs.read(log_of(channel), offset, {limit = chat.HISTORY})
end

-- The channel of an id, for a member; for everybody else it might as well not be there.
function channels.joined(person, id)
  return membership(person, id) or chat.refuse(404, "you are in no such channel")
end

-- The same for an operator.
function channels.run_by(person, id)
  local channel = channels.joined(person, id)
  if not channel.operators[person.id] then chat.refuse(403, "only operators may do that") end
  return channel
end

-- A member, by id.
function channels.member(channel, id)
  local member = place_of(channel.members, id) and chat.person(id)
  return member or chat.refuse(404, "there is no such member")
end

local function enter(channel, person)
  if #person.channels >= JOINED_MAX then chat.refuse(409, "you are in " .. JOINED_MAX .. " channels; leave one first") end
  if #channel.members >= MEMBERS_MAX then chat.refuse(409, "the channel is full") end
  -- Who comes into an open channel that has lost all its people looks after it.
  if #channel.members == 0 then channel.operators[person.id] = true end
  channel.invited[person.id], channel.empty_since = nil, nil
  add(channel.members, person.id)
  add(person.channels, channel.id)
  chat.save(person)
  save(channel)
  note(channel, {kind = "joined", who = person.name})
  changed(channel)
end

function channels.create(person, given, options)
  local name, key = chat.name((given:gsub("^%s*#+", "")), "a channel's name")
  if #state.keys("__chat_channels") >= CHANNELS_MAX then chat.refuse(503, "there are too many channels") end
  if #person.channels >= JOINED_MAX then chat.refuse(409, "you are in " .. JOINED_MAX .. " channels; leave one first") end
  if state.exists("__chat_channel_names", key) then chat.refuse(409, "there is a channel of this name") end
  local channel = {
    id = chat.next_id("c"), name = name, key = key, creator = person.id, members = json.array {}, operators = {}, invited = {},
    kicked = {}, is_secret = options.secret == true, is_invite_only = options.invite_only == true,
  }
  state.set("__chat_channel_names", key, channel.id)
  logs.configure(log_of(channel), {entries_max = chat.HISTORY})
  enter(channel, person)
  return channel
end

function channels.join(person, given)
  local _, key = chat.name((given:gsub("^%s*#+", "")), "a channel's name")
  local channel = named(key)
  if channel and membership(person, channel.id) then return channel end
  local is_invited = channel and channel.invited[person.id]
  local is_hidden = channel and channel.is_secret and channel.is_invite_only and not is_invited
  if not channel or is_hidden then chat.refuse(404, "there is no such channel") end
  if channel.kicked[person.id] then chat.refuse(403, "you were kicked; an operator can invite you") end
  if channel.is_invite_only and not is_invited then chat.refuse(403, "the channel is for who is invited") end
  enter(channel, person)
  return channel
end

-- Takes the channel and its name away, and tells those who are in it. Nothing of it can be asked for any more.
function channels.close(channel, by)
  state.remove("__chat_channel_names", channel.key)
  state.remove("__chat_channels", channel.id)
  logs.delete(log_of(channel))
  for _, id in ipairs(channel.members) do
    local member = chat.person(id)
    if member then
      take_out(member.channels, channel.id)
      chat.save(member)
      chat.tell(member, {kind = "closed", channel = channel.name, by = by})
    end
  end
  changed(channel)
end

-- Ends a membership; entry is what the others are told.
local function part(channel, person, entry)
  take_out(channel.members, person.id)
  take_out(person.channels, channel.id)
  channel.operators[person.id] = nil
  chat.save(person)
  if #channel.members == 0 and channel.is_invite_only then
    -- Nobody is left who could let anybody in.
    return channels.close(channel)
  end
  if #channel.members == 0 then channel.empty_since = time.now() end
  local first = channel.members[1]
  if first and next(channel.operators) == nil then channel.operators[first] = true end
  save(channel)
  note(channel, entry)
  chat.nudge(person)
  changed(channel)
end

function channels.leave(channel, person)
  part(channel, person, {kind = "left", who = person.name})
end

function channels.kick(channel, person, by)
  if person.id == by.id then chat.refuse(409, "leave the channel instead") end
  if person.id == channel.creator then chat.refuse(403, "who made the channel stays") end
  channel.kicked[person.id] = true
  part(channel, person, {kind = "kicked", who = person.name, by = by.name})
  chat.tell(person, {kind = "kicked", channel = channel.name, by = by.name})
end

function channels.op(channel, person, by)
  if channel.operators[person.id] then return end
  channel.operators[person.id] = true
  save(channel)
  note(channel, {kind = "operator", who = person.name, by = by.name})
end

function channels.invite(channel, person, by)
  local is_operator = channel.operators[by.id]
  if not is_operator and (channel.is_invite_only or channel.kicked[person.id]) then
    chat.refuse(403, "only operators may do that")
  end
  if place_of(channel.members, person.id) then chat.refuse(409, "already here: " .. person.name) end
  channel.invited[person.id], channel.kicked[person.id] = true, nil
  save(channel)
  chat.tell(person, {kind = "invited", channel = channel.name, by = by.name})
end

function channels.say(channel, person, text)
  note(channel, {kind = "said", who = person.name, text = text})
end

-- The person goes: out of all channels, and no invitation stays behind.
function channels.depart(person)
  for _, channel in ipairs(channels.of(person)) do channels.leave(channel, person) end
  for _, channel in pairs(channels.all()) do
    if channel.invited[person.id] or channel.kicked[person.id] then
      channel.invited[person.id], channel.kicked[person.id] = nil, nil
      save(channel)
    end
  end
  chat.forget(person)
end

return channels
