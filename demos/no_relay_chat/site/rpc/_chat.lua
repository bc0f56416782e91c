-- What all procedures share: who asks, one change at a time, and rules that refuse.
--
-- Everything is kept under names that begin with "__": they belong to this instance alone, so that neither /events nor
-- the status pages nor another process can show them. A person is told through two names only: "chat_lobby", a counter
-- that moves when what everybody may know changes, and a counter with an unguessable name of the person's own.
--
--   __chat_people    id -> {id, name, session, feed, seen, channels, spoke}
--   __chat_names     name in small letters -> id of the person
--   __chat_sessions  what the cookie holds -> id of the person
--   __chat_desk_ID   a log: what only this person is told
local state, logs, counters = unidist.sharedstate, unidist.sharedlog, unidist.sharedcounter

local chat = {COOKIE = "no_relay_chat", HISTORY = 200}

local PEOPLE_MAX, NAME_MAX, TEXT_MAX = 200, 24, 1000
local SPOKEN_MAX, SPOKEN_WITHIN = 20, 10   -- so many messages in so many seconds
local BUSY_AFTER = 5                       -- seconds
local ID_MAX, SESSION_LENGTH = 20, 43

-- A rule forbids what was asked: the text is for who asked.
function chat.refuse(status, text)
  error({status = status, text = text}, 0)
end

-- Runs one at a time: two who take one name at once, or join while a channel is closed, never meet.
function chat.exclusively(run)
  if not unidist.sharedlock.acquire("__chat", {wait = BUSY_AFTER}) then
    return {error = "the chat is busy; try again", __response = {status = 503}}
  end
  local is_done, result = pcall(run)
  unidist.sharedlock.release("__chat")
  if is_done then return result end
  if type(result) ~= "table" or not result.status then error(result, 0) end
  return {error = result.text, __response = {status = result.status}}
end

-- A procedure for everybody: run(person or nil, arguments).
function chat.open_procedure(run)
  return function(pipe_data, block, request_state, input_data)
    return chat.exclusively(function()
      return run(chat.person_of(request_state.cookies[chat.COOKIE]), input_data)
    end)
  end
end

-- A procedure for who has logged in: run(person, arguments).
function chat.procedure(run)
  return chat.open_procedure(function(me, arguments)
    if not me then chat.refuse(401, "log in first") end
    return run(me, arguments) or {}
  end)
end

-- Texts ------------------------------------------------------------------------------------------------------------

-- Control characters, and those that hide or turn around what stands beside them.
local function is_hidden(code)
  return code < 0x20 or (code >= 0x7F and code < 0xA0) or code == 0xAD or (code >= 0x200B and code <= 0x200F)
    or (code >= 0x2028 and code <= 0x202E) or (code >= 0x2060 and code <= 0x206F) or code == 0xFEFF
end

local function trimmed(text, what, max)
  local wrong = what .. " has 1 to " .. max .. " characters"
  if #text > 8 * max then chat.refuse(400, wrong) end
  text = text:match("^%s*(.-)%s*$")
  local length = utf8.len(text)
  if not length or length == 0 or length > max then chat.refuse(400, wrong) end
  return text
end

-- A name as it is shown, and the key by which no two are alike.
function chat.name(text, what)
  local name = trimmed(text, what, NAME_MAX)
  for _, code in utf8.codes(name) do
    if is_hidden(code) then chat.refuse(400, what .. " has a character that can't be seen") end
  end
  return name, name:lower()
end

-- A message is one line: another could look like what somebody else said.
function chat.text(text)
  return trimmed(text:gsub("%c", " "), "a message", TEXT_MAX)
end

-- People -----------------------------------------------------------------------------------------------------------

function chat.save(person)
  state.set("__chat_people", person.id, person)
end

-- The person of an id, which may come from anybody.
function chat.person(id)
  if #id > ID_MAX or not id:match("^p%d+$") then return nil end
  return state.get("__chat_people", id, false) or nil
end

function chat.people()
  return state.bucket("__chat_people")
end

function chat.person_of(session)
  if not session or #session ~= SESSION_LENGTH then return nil end
  local id = state.get("__chat_sessions", session, false)
  return id and chat.person(id) or nil
end

function chat.next_id(letter)
  return letter .. counters.increment("__chat_ids")
end

function chat.arrive(name, key)
  if #state.keys("__chat_people") >= PEOPLE_MAX then chat.refuse(503, "the chat is full; try again later") end
  if state.exists("__chat_names", key) then chat.refuse(409, "somebody here has this name") end
  local person = {
    id = chat.next_id("p"), name = name, key = key, session = random.token(), feed = "chat_" .. random.token(18),
    seen = time.now(), channels = json.array {}, spoke = json.array {},
  }
  state.set("__chat_names", key, person.id)
  state.set("__chat_sessions", person.session, person.id)
  logs.configure("__chat_desk_" .. person.id, {entries_max = chat.HISTORY})
  chat.save(person)
  chat.lobby_changed()
  return person
end

-- Forgets the person; leaving the channels comes before.
function chat.forget(person)
  if state.get("__chat_names", person.key, false) == person.id then state.remove("__chat_names", person.key) end
  state.remove("__chat_sessions", person.session)
  state.remove("__chat_people", person.id)
  logs.delete("__chat_desk_" .. person.id)
  counters.delete(person.feed)
  chat.lobby_changed()
end

-- Not more than people type.
function chat.count_message_of(person)
  local now, spoke = time.now(), json.array {}
  for _, moment in ipairs(person.spoke) do
    if moment > now - SPOKEN_WITHIN then spoke[#spoke + 1] = moment end
  end
  if #spoke >= SPOKEN_MAX then chat.refuse(429, "too many messages; wait a few seconds") end
  spoke[#spoke + 1] = now
  person.spoke, person.seen = spoke, now
  chat.save(person)
end

-- Telling ----------------------------------------------------------------------------------------------------------

-- The person's pages ask for news.
function chat.nudge(person)
  counters.increment(person.feed)
end

-- Tells one person alone.
function chat.tell(person, entry)
  logs.append("__chat_desk_" .. person.id, entry)
  chat.nudge(person)
end

function chat.lobby_changed()
  counters.increment("chat_lobby")
end

return chat
