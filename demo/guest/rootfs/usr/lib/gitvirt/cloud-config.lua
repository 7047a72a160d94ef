#!/usr/bin/lua5.4
-- Apply the cloud-config subset this guest knows: hostname, password, chpasswd, users, ssh_authorized_keys,
-- write_files; bootcmd, runcmd and `#!` user data become scripts that cloud-init-late runs.
-- The root file system lives in memory, so every boot counts as the first one.
-- Source: cloud-init's module reference and its NoCloud and ConfigDrive data sources.
local yaml = require("lyaml")

local RUN = "/run/cloud-init/"

local function say(message)
  local console = io.open("/dev/console", "w")
  if console then
    console:write("gitvirt demo guest: cloud-init: " .. message .. "\n")
    console:close()
  end
end

local function read(path)
  local handle = io.open(path, "rb")
  local content = handle and handle:read("a") or ""
  if handle then handle:close() end
  return content
end

local function write(path, content, mode)
  local handle, reason = io.open(path, mode or "wb")
  if not handle then
    say("cannot write: " .. reason)
    return false
  end
  handle:write(content)
  handle:close()
  return true
end

local function quote(word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

local function given(value)
  return value ~= nil and value ~= yaml.null
end

local function items(value)
  return type(value) == "table" and value or {}
end

local function parse(content, name)
  local ok, value = pcall(yaml.load, content)
  if not ok then
    say(name .. " is not valid YAML: " .. tostring(value))
    return {}
  end
  return items(value)
end

local function make_script(name, commands)
  local lines = { "#!/bin/sh" }
  for _, command in ipairs(items(commands)) do
    if type(command) == "table" then
      local words = {}
      for _, word in ipairs(command) do words[#words + 1] = quote(word) end
      command = table.concat(words, " ")
    end
    lines[#lines + 1] = tostring(command)
  end
  if #lines > 1 and write(RUN .. name, table.concat(lines, "\n") .. "\n") then
    os.execute("chmod 700 " .. RUN .. name)
  end
end

local password_given = false

local function feed(command, line)
  local pipe = io.popen(command, "w")
  pipe:write(line .. "\n")
  pipe:close()
end

local function set_password(user, secret, is_hash)
  password_given = true
  feed(is_hash and "chpasswd -e" or "chpasswd", user .. ":" .. tostring(secret))
end

local function home_of(user)
  for line in io.lines("/etc/passwd") do
    local name, home = line:match("^([^:]*):[^:]*:[^:]*:[^:]*:[^:]*:([^:]*):")
    if name == user then return home end
  end
  return nil
end

local next_uid = 1001

local function ensure_user(user)
  if home_of(user) then return end
  local home = "/home/" .. user
  write("/etc/passwd", ("%s:x:%d:%d::%s:/bin/sh\n"):format(user, next_uid, next_uid, home), "ab")
  write("/etc/group", ("%s:x:%d:\n"):format(user, next_uid), "ab")
  write("/etc/shadow", user .. ":!:19000:0:99999:7:::\n", "ab")
  os.execute(("mkdir -p %s && chown %d:%d %s"):format(quote(home), next_uid, next_uid, quote(home)))
  next_uid = next_uid + 1
end

local function add_keys(user, keys)
  if type(keys) == "string" then keys = { keys } end
  local lines = {}
  for _, key in pairs(items(keys)) do lines[#lines + 1] = tostring(key) .. "\n" end
  if #lines == 0 then return end
  local home = home_of(user)
  os.execute("mkdir -p " .. quote(home .. "/.ssh"))
  write(home .. "/.ssh/authorized_keys", table.concat(lines), "ab")
  os.execute(("chmod -R go= %s; chown -R %s: %s"):format(quote(home .. "/.ssh"), quote(user), quote(home)))
end

local function apply_users(config, meta)
  for _, entry in ipairs(items(config.users)) do
    if type(entry) == "table" and given(entry.name) and tostring(entry.name):match("^[%w._-]+$") then
      ensure_user(entry.name)
      add_keys(entry.name, entry.ssh_authorized_keys)
      if given(entry.plain_text_passwd) then set_password(entry.name, entry.plain_text_passwd, false) end
      if given(entry.passwd) then set_password(entry.name, entry.passwd, true) end
      if given(entry.hashed_passwd) then set_password(entry.name, entry.hashed_passwd, true) end
    end
  end
  for _, user in ipairs({ "root", "demo" }) do
    add_keys(user, config.ssh_authorized_keys)
    add_keys(user, meta["public-keys"] or meta.public_keys)
    if given(config.password) then set_password(user, config.password, false) end
  end
  local chpasswd = items(config.chpasswd)
  local pairs_given = chpasswd.list
  if type(pairs_given) == "string" then
    local lines = {}
    for line in pairs_given:gmatch("[^\r\n]+") do lines[#lines + 1] = line end
    pairs_given = lines
  end
  for _, line in ipairs(items(pairs_given)) do
    local user, secret = tostring(line):match("^%s*([^:]+):(.*)$")
    if user then set_password(user, secret, false) end
  end
  for _, entry in ipairs(items(chpasswd.users)) do
    if given(entry.name) and given(entry.password) then
      set_password(entry.name, entry.password, entry.type == "hash" or tostring(entry.password):sub(1, 1) == "$")
    end
  end
end

local function write_file(entry)
  if type(entry) ~= "table" or not given(entry.path) then return end
  local path = tostring(entry.path)
  os.execute("mkdir -p \"$(dirname " .. quote(path) .. ")\"")
  local content = given(entry.content) and tostring(entry.content) or ""
  local encoding = given(entry.encoding) and tostring(entry.encoding) or "text/plain"
  if encoding == "b64" or encoding == "base64" then
    feed("base64 -d " .. (entry.append == true and ">> " or "> ") .. quote(path), content)
  elseif encoding == "text/plain" then
    if not write(path, content, entry.append == true and "ab" or "wb") then return end
  else
    say("write_files " .. path .. ": encoding " .. encoding .. " is not known to this guest")
    return
  end
  local permissions = given(entry.permissions) and entry.permissions or "0644"
  -- YAML reads an unquoted 0644 as the octal number.
  if type(permissions) == "number" then permissions = ("%o"):format(permissions) end
  os.execute("chmod " .. quote(permissions) .. " " .. quote(path))
  if given(entry.owner) then os.execute("chown " .. quote(entry.owner) .. " " .. quote(path)) end
end

local meta = parse(read(RUN .. "seed/meta-data"), "meta-data")
local user_data = read(RUN .. "seed/user-data")
local config = {}
if user_data:match("^#cloud%-config") then
  config = parse(user_data, "user-data")
elseif user_data:match("^#!") then
  write(RUN .. "user-script", user_data)
  os.execute("chmod 700 " .. RUN .. "user-script")
elseif user_data:match("%S") then
  say("user-data begins with neither #cloud-config nor #!, so it is ignored")
end

for _, name in ipairs({ config.hostname or yaml.null, config.fqdn or yaml.null, meta["local-hostname"] or yaml.null,
                        meta.hostname or yaml.null }) do
  if given(name) then
    os.execute("hostname " .. quote(tostring(name):match("^[^.]*")))
    break
  end
end
apply_users(config, meta)
-- The open root login of the serial console is only for a guest that was told nothing.
if password_given and read("/etc/shadow"):match("^root::") then set_password("root", "!", true) end
for _, entry in ipairs(items(config.write_files)) do write_file(entry) end
make_script("bootcmd", config.bootcmd)
make_script("runcmd", config.runcmd)
