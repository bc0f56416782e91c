--: title: Disks
function ProcessBlock() return {tab = "disks"} end
