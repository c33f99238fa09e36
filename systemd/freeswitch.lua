-- FreeSWITCH reports its calls to Lamplighter: each change of a call by one request to call_state.htm. Run for each event, by a line in
-- the <settings> of autoload_configs/lua.conf.xml; needs mod_lua and mod_curl:
--
--   <hook event="CHANNEL_CALLSTATE" script="/etc/freeswitch/scripts/freeswitch.lua"/>
--
-- Each user has an [[account]] in Lamplighter with the same password as in FreeSWITCH's directory. A user has one state here: if one of
-- two calls ends, the lamp goes out until the other call changes. call_state.htm is plain HTTP on loopback; from another machine use
-- https://, see [[https]].

local lamplighter = "http://127.0.0.1:8080/call_state.htm"

-- What a lamp shows of the user who is called.
local shown = {
    RINGING = "ringing",
    EARLY = "ringing",
    ACTIVE = "busy",
    HELD = "busy",
    UNHELD = "busy",
    HANGUP = "idle",
}

local state = shown[event:getHeader("Channel-Call-State") or ""]
local user, domain = (event:getHeader("Channel-Presence-ID") or ""):match("^([^@]+)@(.+)$")
if not state or not user then
    return
end
-- The channel that comes in is that of the caller, whose phone does not ring.
if state == "ringing" and event:getHeader("Call-Direction") == "inbound" then
    state = "busy"
end

local api = freeswitch.API()
local function encoded(text)
    return api:execute("url_encode", text)
end
local password = api:execute("user_data", user .. "@" .. domain .. " param password")
local request = string.format(
    "%s?domain=%s&user=%s&password=%s&state=%s",
    lamplighter, encoded(domain), encoded(user), encoded(password), state
)
api:execute("curl", request .. " connect-timeout 1 timeout 2")
