-- Sets the severity header from the level the first decoder left, and renames a field.
local levels = {ERROR = 3, WARNING = 4, INFO = 6}

function process_message()
    local level = read_message("Fields[level]")
    if not level then return -1 end

    write_message("Severity", levels[level] or 7)
    write_message("EnvVersion", "1.2")
    write_message("Fields[is_slow]", read_message("Fields[took]") > 1000)
    write_message("Fields[action]", read_message("Fields[operation]"), "verb")
    write_message("Fields[action]", level:lower(), "verb", 0, 1)
    write_message("Fields[operation]", nil)
    return 0
end
