-- Run once in each new Lua state, before any script: replaces what could hang or reach outside, and gives the
-- function that makes a script's own environment. Where a loop of stock Lua runs in C, out of the hook's sight, the
-- loop is written here instead; where the work is bounded by the memory of the state, the C function does it.
local natives = ...

local error, type, select, next, pairs, tostring, setmetatable, getmetatable, pcall =
  error, type, select, next, pairs, tostring, setmetatable, getmetatable, pcall
local rawget, rawlen, load, floor, tointeger = rawget, rawlen, load, math.floor, math.tointeger
local sub, rep, format = string.sub, string.rep, string.format
local insert, remove, concat, move, pack, unpack = table.insert, table.remove, table.concat, table.move, table.pack, table.unpack
local create, resume, yield, close, status =
  coroutine.create, coroutine.resume, coroutine.yield, coroutine.close, coroutine.status
local collectgarbage, date = collectgarbage, os.date
local PENDING = natives.pending

-- Results of a native function: true and values, or false and the text to raise where the script called. Only for
-- tail calls, so that level 2 is the script.
local function check(ok, ...)
  if ok then return ... end
  error((...), 2)
end

local function wrong(position, name, expected, value, level)
  error(format("bad argument #%d to '%s' (%s expected, got %s)", position, name, expected,
    value == nil and "no value" or type(value)), level or 4)
end

local function text(value, position, name)
  if type(value) == "string" then return value end
  if type(value) == "number" then return tostring(value) end
  wrong(position, name, "string", value)
end

local function integer(value, position, name)
  local found = tointeger(value)
  if found == nil and type(value) == "string" then found = tointeger(tonumber(value)) end
  if found then return found end
  if type(value) == "number" then
    error(format("bad argument #%d to '%s' (number has no integer representation)", position, name), 3)
  end
  wrong(position, name, "number", value)
end

local function optional(value, position, name)
  if value == nil then return nil end
  return integer(value, position, name)
end

local function list(value, name)
  if type(value) ~= "table" then wrong(1, name, "table", value) end
end

-- Text -------------------------------------------------------------------------------------------------------------

local find, match, next_match, substitute = natives.find, natives.match, natives.next_match, natives.substitute

string.dump = nil

function string.find(s, pattern, init, plain)
  return check(find(text(s, 1, "find"), text(pattern, 2, "find"), optional(init, 3, "find"), plain and true or false))
end

function string.match(s, pattern, init)
  return check(match(text(s, 1, "match"), text(pattern, 2, "match"), optional(init, 3, "match")))
end

function string.gmatch(s, pattern, init)
  s, pattern, init = text(s, 1, "gmatch"), text(pattern, 2, "gmatch"), optional(init, 3, "gmatch") or 1
  if init < 0 then init = #s + init + 1 end
  if init < 1 then init = 1 end
  local last = -1
  local function found(ok, first, stop, ...)
    if not ok then error(first, 2) end
    if first == nil then
      init = #s + 2
      return nil
    end
    init, last = stop + 1, stop
    return ...
  end
  return function()
    if init > #s + 1 then return nil end
    return found(next_match(s, pattern, init, last, false))
  end
end

local function substitute_by(s, pattern, replace, most)
  local pieces, n, count, position, last, is_open = {}, 0, 0, 1, -1, true
  local function found(ok, first, stop, ...)
    if not ok then error(first, 3) end
    if first == nil then
      is_open = false
      return
    end
    local value = replace(...)
    local kind = type(value)
    if value == nil or value == false then
      value = sub(s, first, stop)
    elseif kind ~= "string" and kind ~= "number" then
      error("invalid replacement value (a " .. kind .. ")", 3)
    end
    pieces[n + 1], pieces[n + 2] = sub(s, position, first - 1), value
    n, count, position, last = n + 2, count + 1, stop + 1, stop
  end
  local is_anchored = sub(pattern, 1, 1) == "^"
  while is_open and count < most do
    found(next_match(s, pattern, position, last, true))
    if is_anchored then break end
  end
  pieces[n + 1] = sub(s, position)
  return concat(pieces), count
end

function string.gsub(s, pattern, replace, most)
  s, pattern, most = text(s, 1, "gsub"), text(pattern, 2, "gsub"), optional(most, 4, "gsub")
  local kind = type(replace)
  if kind == "function" then return substitute_by(s, pattern, replace, most or math.maxinteger) end
  if kind == "number" then replace = tostring(replace) end
  if kind ~= "string" and kind ~= "number" and kind ~= "table" then wrong(3, "gsub", "string/function/table", replace, 3) end
  return check(substitute(s, pattern, replace, most))
end

function string.rep(s, n, separator)
  s, n = text(s, 1, "rep"), integer(n, 2, "rep")
  separator = separator == nil and "" or text(separator, 3, "rep")
  if n <= 0 or (#s == 0 and #separator == 0) then return "" end
  if n > natives.memory_max() // (#s + #separator) + 1 then error("not enough memory", 2) end
  return rep(s, n, separator)
end

-- Tables -----------------------------------------------------------------------------------------------------------

function table.insert(t, ...)
  local count = select("#", ...)
  if getmetatable(t) == nil and (count == 1 or rawlen(t) < 4096) then return insert(t, ...) end
  list(t, "insert")
  local stop = #t + 1
  if count == 1 then
    t[stop] = (...)
    return
  elseif count ~= 2 then
    error("wrong number of arguments to 'insert'", 2)
  end
  local position, value = ...
  position = integer(position, 2, "insert")
  if position < 1 or position > stop then error("bad argument #2 to 'insert' (position out of bounds)", 2) end
  for index = stop, position + 1, -1 do t[index] = t[index - 1] end
  t[position] = value
end

function table.remove(t, ...)
  local count = select("#", ...)
  if getmetatable(t) == nil and (count == 0 or rawlen(t) < 4096) then return remove(t, ...) end
  list(t, "remove")
  local size = #t
  local position = count == 0 and size or integer((...), 2, "remove")
  if count > 0 and size + 1 ~= position and (position < 1 or position > size + 1)
    and not (size == 0 and position == 0) then
    error("bad argument #2 to 'remove' (position out of bounds)", 2)
  end
  local value = t[position]
  for index = position, size - 1 do t[index] = t[index + 1] end
  if position <= size then t[size] = nil end
  return value
end

function table.concat(t, separator, first, last)
  if getmetatable(t) == nil and type(t) == "table" and rawlen(t) < 256 then return concat(t, separator, first, last) end
  list(t, "concat")
  separator = separator == nil and "" or text(separator, 2, "concat")
  first, last = optional(first, 3, "concat") or 1, optional(last, 4, "concat") or #t
  local copy, n = {}, 0
  for index = first, last do
    local value = t[index]
    local kind = type(value)
    if kind ~= "string" and kind ~= "number" then
      error(format("invalid value (at index %d) in table for 'concat'", index), 2)
    end
    n = n + 1
    copy[n] = value
  end
  return concat(copy, separator)
end

function table.move(from, first, last, to, target)
  list(from, "move")
  first, last, to = integer(first, 2, "move"), integer(last, 3, "move"), integer(to, 4, "move")
  if target == nil then target = from elseif type(target) ~= "table" then wrong(5, "move", "table", target, 3) end
  if last < first then return target end
  if not (first > 0 or last < math.maxinteger + first) then error("bad argument #3 to 'move' (too many elements to move)", 2) end
  if to > math.maxinteger - (last - first + 1) + 1 then error("bad argument #4 to 'move' (destination wrap around)", 2) end
  if last - first < 4096 then return move(from, first, last, to, target) end
  if to > last or to <= first or target ~= from then
    for offset = 0, last - first do target[to + offset] = from[first + offset] end
  else
    for offset = last - first, 0, -1 do target[to + offset] = from[first + offset] end
  end
  return target
end

local function less_than(a, b) return a < b end

-- A merge sort from the bottom up; stable, and an inconsistent comparison cannot make it run on.
local function sort(values, n, less)
  local other, width = {}, 8
  for low = 1, n, width do
    local high = low + width - 1
    if high > n then high = n end
    for index = low + 1, high do
      local value, place = values[index], index - 1
      while place >= low and less(value, values[place]) do
        values[place + 1] = values[place]
        place = place - 1
      end
      values[place + 1] = value
    end
  end
  while width < n do
    for low = 1, n, width * 2 do
      local middle, high = low + width, low + width * 2 - 1
      if high > n then high = n end
      if middle > high or not less(values[middle], values[middle - 1]) then
        for index = low, high do other[index] = values[index] end
      else
        local left, right = low, middle
        for index = low, high do
          if right > high or (left < middle and not less(values[right], values[left])) then
            other[index], left = values[left], left + 1
          else
            other[index], right = values[right], right + 1
          end
        end
      end
    end
    values, other, width = other, values, width * 2
  end
  return values
end

function table.sort(t, less)
  list(t, "sort")
  if less ~= nil and type(less) ~= "function" then wrong(2, "sort", "function", less, 3) end
  local values, n = {}, #t
  for index = 1, n do values[index] = t[index] end
  values = sort(values, n, less or less_than)
  for index = 1, n do t[index] = values[index] end
end

-- Coroutines: a function of the API that waits inside of one yields all coroutines above it ------------------------

local function resume_whole(thread, ...)
  local results = pack(resume(thread, ...))
  while results[1] and results[2] == PENDING do results = pack(resume(thread, yield(PENDING))) end
  return unpack(results, 1, results.n)
end

coroutine.resume = resume_whole

-- A coroutine that the hook ended has its hook switched off: its variables with <close> must not run.
function coroutine.close(thread)
  if not natives.may_go_on() then error("the call was ended", 2) end
  return close(thread)
end

local function unwrap(thread, ok, ...)
  if ok then return ... end
  if status(thread) == "dead" and natives.may_go_on() then close(thread) end
  error((...), 0)
end

function coroutine.wrap(f)
  local thread = create(f)
  return function(...) return unwrap(thread, resume_whole(thread, ...)) end
end

-- Base -------------------------------------------------------------------------------------------------------------

local function safe_setmetatable(t, meta)
  if type(meta) == "table" and rawget(meta, "__gc") ~= nil then
    error("__gc is refused: a finalizer cannot be ended; use a variable with <close>", 2)
  end
  return setmetatable(t, meta)
end

-- Stock Lua calls the handler where the error was raised; when the hook raised it, the handler would run without a
-- hook and could not be ended. So it is called behind the failed call.
local function handled(handler, ok, ...)
  if ok then return ok, ... end
  local _, value = pcall(handler, ...)
  return false, value
end

local function safe_xpcall(f, handler, ...)
  return handled(handler, pcall(f, ...))
end

local function safe_collectgarbage(what)
  if what == nil or what == "collect" then return collectgarbage("collect") end
  if what == "count" then return collectgarbage("count") end
  error("bad argument #1 to 'collectgarbage' (only 'collect' and 'count' are allowed)", 2)
end

local function words(...)
  local values = pack(...)
  for index = 1, values.n do
    local value = values[index]
    local meta = getmetatable(value)
    if type(value) == "table" and (meta == nil or meta == "json.array") then
      local ok, encoded = natives.encode(value)
      values[index] = ok and encoded or tostring(value)
    else
      values[index] = tostring(value)
    end
  end
  return concat(values, "\t", 1, values.n)
end

local function print(...)
  local values = pack(...)
  for index = 1, values.n do values[index] = tostring(values[index]) end
  natives.log("info", concat(values, "\t", 1, values.n))
end

getmetatable("").__metatable = "string"

-- Modules ----------------------------------------------------------------------------------------------------------

local json = { null = natives.null }
function json.encode(value, indent) return check(natives.encode(value, indent and true or false)) end
function json.decode(s) return check(natives.decode(text(s, 1, "decode"))) end
function json.array(values)
  if values == nil then values = {} end
  if type(values) ~= "table" then wrong(1, "array", "table", values, 3) end
  local meta = getmetatable(values)
  if meta ~= nil and meta ~= "json.array" then error("json.array: the table has a metatable of its own", 2) end
  if meta == "json.array" then return values end
  return setmetatable(values, natives.array)
end

local log = {}
for _, level in pairs { "debug", "info", "warn", "error" } do
  log[level] = function(...) natives.log(level, words(...)) end
end

-- A pattern is worked off in C: a long one would hold its thread.
local PATTERN_BYTES_MAX = 1024
local function short_date(pattern, seconds)
  if type(pattern) == "string" and #pattern > PATTERN_BYTES_MAX then
    error(format("the pattern of a date has %d bytes, more than %d", #pattern, PATTERN_BYTES_MAX), 2)
  end
  return date(pattern, seconds)
end

local time = { now = natives.now, monotonic = natives.monotonic }
function time.sleep(duration) return check(natives.sleep(duration)) end
function time.format(seconds, pattern)
  if seconds ~= nil and type(seconds) ~= "number" then wrong(1, "format", "number", seconds, 3) end
  if pattern ~= nil and type(pattern) ~= "string" then wrong(2, "format", "string", pattern, 3) end
  return short_date(pattern or "!%Y-%m-%dT%H:%M:%SZ", floor(seconds or natives.now()))
end

local unidist = {}
local modules = { json = json, log = log, time = time, unidist = unidist }
local OUTSIDE = { process = true, http = true, file = true, timeseries = true, rpc = true, random = true }
for _, name in pairs(natives.functions) do
  local module, short = natives.split(name)
  local home = OUTSIDE[module] and modules or unidist
  home[module] = home[module] or {}
  home[module][short] = function(...)
    local ok, value = natives.host_now(name, ...)
    if ok == nil then ok, value = natives.host(name, ...) end
    if ok then return value end
    error(value, 2)
  end
end

-- A text is compiled in C, some in a time that grows with the square of their length.
local LOAD_BYTES_MAX = 256 * 1024

-- What a function gives piece by piece, as `load` takes it.
local function gathered(reader)
  local pieces, bytes = {}, 0
  while true do
    local piece = reader()
    if piece == nil or piece == "" then return concat(pieces) end
    if type(piece) ~= "string" then error("reader function must return a string", 3) end
    bytes = bytes + #piece
    insert(pieces, piece)
    if bytes > LOAD_BYTES_MAX then return concat(pieces) end
  end
end

-- Environments -----------------------------------------------------------------------------------------------------

local BASE = {
  assert = assert, error = error, getmetatable = getmetatable, ipairs = ipairs, next = next, pairs = pairs,
  pcall = pcall, rawequal = rawequal, rawget = rawget, rawlen = rawlen, rawset = rawset, select = select,
  tonumber = tonumber, tostring = tostring, type = type, xpcall = safe_xpcall, _VERSION = _VERSION,
  setmetatable = safe_setmetatable, collectgarbage = safe_collectgarbage, print = print,
}
local LIBRARIES = {
  coroutine = coroutine, math = math, string = string, table = table, utf8 = utf8,
  os = { clock = os.clock, date = short_date, difftime = os.difftime, time = os.time },
}
for name, module in pairs(modules) do LIBRARIES[name] = module end

local function copy(from, depth)
  local to = {}
  for key, value in next, from do
    if depth > 0 and type(value) == "table" then value = copy(value, depth - 1) end
    to[key] = value
  end
  return to
end

-- A script's own environment: what it changes in a library is its own, too. Libraries that its text can't name are left
-- out, since a block file may hold thousands of short texts, each with an environment.
return function(required, has_word)
  local environment = copy(BASE, 0)
  local sees_all = not has_word or has_word("_G") or has_word("_ENV") or has_word("load") or has_word("require")
  for name, library in next, LIBRARIES do
    if sees_all or has_word(name) then environment[name] = copy(library, 1) end
  end
  environment._G = environment
  local loaded = {}

  function environment.load(chunk, name, mode, env)
    if mode ~= nil and mode ~= "t" and mode ~= "bt" then
      return nil, "attempt to load a binary chunk (only texts are allowed)"
    end
    if env == nil then env = environment end
    if type(chunk) == "function" then chunk, name = gathered(chunk), name or "=(load)" end
    if type(chunk) == "string" then
      if #chunk > LOAD_BYTES_MAX then
        return nil, format("the text has %d bytes, more than %d; put it into a file and require it", #chunk, LOAD_BYTES_MAX)
      end
      natives.may_work_on(#chunk)
    end
    return load(chunk, name, "t", env)
  end

  function environment.require(name)
    name = text(name, 1, "require")
    local found = loaded[name]
    if found ~= nil then return found end
    local ok, chunk = required(environment, name)
    if not ok then error(chunk, 2) end
    loaded[name] = true
    local value = chunk(name)
    if value == nil then value = true end
    loaded[name] = value
    return value
  end

  return environment
end
