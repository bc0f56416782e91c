-- Finds out which items there are, and keeps of the numbers those of the items that are switched on.
--
-- Bucket "items" has what was found: written only when something comes or goes. Bucket "switched" has what somebody
-- chose; an item that is not in it is on when it is interesting.
local kinds = require "kinds"

local FORGET = 7 * 24 * 3600   -- seconds after which an item that is gone is not listed any more; others are at once

local function note_changes(kind, found, items, switched)
  for name, numbers in pairs(found) do
    local key = kind .. "/" .. name
    local note, old = kinds[kind].note(numbers), items[key]
    if not old or not old.is_here or old.note ~= note then
      unidist.sharedstate.set("items", key, {
        kind = kind, name = name, note = note, is_here = true,
        is_interesting = kinds[kind].is_interesting(name, numbers),
        series = kinds[kind].series .. timeseries.safe_key(name),
      })
    end
  end
  for key, item in pairs(items) do
    if item.kind == kind and item.is_here and not found[item.name] then
      if item.is_interesting or switched[key] ~= nil then
        item.is_here = false
        unidist.sharedstate.set("items", key, item, {time_to_live = FORGET})
      else
        unidist.sharedstate.remove("items", key)
      end
    end
  end
end

function ProcessBlock(pipe_data)
  local items, switched = unidist.sharedstate.bucket("items"), unidist.sharedstate.bucket("switched")
  local kept = {}
  for kind in pairs(kinds) do
    local found = pipe_data[kind]
    if found then
      note_changes(kind, found, items, switched)
      kept[kind] = {}
      for name, numbers in pairs(found) do
        local is_on = switched[kind .. "/" .. name]
        if is_on == nil then is_on = kinds[kind].is_interesting(name, numbers) end
        if is_on then kept[kind][name] = numbers end
      end
    end
  end
  return kept
end
