-- What comes and goes: where its series lie, what is said of it, and whether it is worth looking at unless told.

local function begins_with_any(text, beginnings)
  for _, beginning in ipairs(beginnings) do
    if text:sub(1, #beginning) == beginning then return true end
  end
  return false
end

local function size(bytes)
  if bytes < 1024 ^ 2 then return string.format("%.4g KiB", bytes / 1024) end
  if bytes < 1024 ^ 3 then return string.format("%.4g MiB", bytes / 1024 ^ 2) end
  return string.format("%.4g GiB", bytes / 1024 ^ 3)
end

return {
  cores = {
    series = "data/core_",
    note = function() return "" end,
    is_interesting = function() return true end,
  },

  -- File systems in memory, images and what containers mount are not interesting.
  disks = {
    series = "data/disk_",
    note = function(numbers) return string.format("%s on %s, %s", numbers.type, numbers.device, size(numbers.total)) end,
    is_interesting = function(name, numbers)
      local in_memory = {tmpfs = true, devtmpfs = true, ramfs = true, squashfs = true, iso9660 = true, efivarfs = true}
      if in_memory[numbers.type] then return false end
      if begins_with_any(numbers.device, {"/dev/loop", "/dev/ram"}) then return false end
      return not begins_with_any(name, {"/snap/", "/var/lib/docker/", "/var/lib/containers/", "/run/", "/sys/", "/proc/"})
    end,
  },

  disk_io = {
    series = "data/io_",
    note = function() return "" end,
    is_interesting = function(name) return not begins_with_any(name, {"loop", "ram", "zram", "fd", "sr"}) end,
  },

  -- The machine's own loopback, and one end of each container's or virtual machine's cable.
  network = {
    series = "data/net_",
    note = function(numbers)
      return numbers.speed ~= json.null and numbers.speed and string.format("%g Mbit/s", numbers.speed / 1e6) or ""
    end,
    is_interesting = function(name)
      return name ~= "lo" and not begins_with_any(name, {
        "veth", "docker", "br-", "virbr", "vnet", "tap", "cali", "flannel", "cni", "ifb", "dummy", "sit", "gre", "erspan",
        "ip6", "tunl", "ip_vti", "teql",
      })
    end,
  },
}
