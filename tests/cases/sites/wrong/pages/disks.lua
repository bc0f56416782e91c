--: tittle: Disks
return {}
