--[[
Reads the access log of Nginx, as its `log_format` says.

Reads Payload. Gives Timestamp from the time in the line, and a field for each variable: status,
body_bytes_sent (B), request_time (s), remote_addr, request, http_referer, http_user_agent and so on.

    [access_log]
    type = "LogstreamerInput"
    log_directory = "/var/log/nginx"
    file_match = 'access\.log'
    decoder = "nginx_access"

    [nginx_access]
    type = "SandboxDecoder"
    filename = "lua_decoders/nginx_access.lua"

    [nginx_access.config]
    log_format = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
    type = "nginx.access"
    user_agent_transform = false    # user_agent_browser, _version and _os for http_user_agent
    user_agent_keep = false         # and keep http_user_agent too
    user_agent_conditional = false  # keep it only when the browser is not known
    payload_keep = false
--]]

process_message = require("access_log")("build_nginx_grammar")
