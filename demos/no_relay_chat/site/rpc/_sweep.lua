-- Run every 30 seconds: who gave no sign for long is gone, and a channel that stood empty for long is closed.
local chat = require "_chat"
local channels = require "_channels"

function ProcessBlock(pipe_data)
  return chat.exclusively(function()
    local now, present = time.now(), 0
    for _, person in pairs(chat.people()) do
      if person.seen < now - pipe_data.gone_after then channels.depart(person) else present = present + 1 end
    end
    for _, channel in pairs(channels.all()) do
      if channel.empty_since and channel.empty_since < now - pipe_data.empty_kept then channels.close(channel) end
    end
    return {present = present}
  end)
end
