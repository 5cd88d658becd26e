--[[
Reads the access log of Apache, as its LogFormat says.

Reads Payload. Gives Timestamp from the time in the line, and a field for each directive: status,
body_bytes_sent (B), request_time (s), remote_addr, request, http_referer, http_user_agent and so on.

    [access_log]
    type = "LogstreamerInput"
    log_directory = "/var/log/apache2"
    file_match = 'access\.log'
    decoder = "apache_access"

    [apache_access]
    type = "SandboxDecoder"
    filename = "lua_decoders/apache_access.lua"

    [apache_access.config]
    log_format = '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"'
    type = "apache.access"
    user_agent_transform = false    # user_agent_browser, _version and _os for http_user_agent
    user_agent_keep = false         # and keep http_user_agent too
    user_agent_conditional = false  # keep it only when the browser is not known
    payload_keep = false
--]]

process_message = require("access_log")("build_apache_grammar")
