-- Messages in every form a table may have; the checkpoint is a text.
local messages = {
    {
        Uuid = string.rep("\1", 16), Timestamp = 1.5e18, Type = "kinds", Logger = "by name",
        Payload = "one", EnvVersion = "2", Hostname = "h", Severity = 4, Pid = "77",
        Fields = {
            text = "abc", number = 1.25, truth = true,
            texts = {"a", "b", "c"}, numbers = {1, 2.5}, truths = {true, false},
            integer = {value = 7.9, value_type = 2, representation = "count"},
            integers = {value = {1, 2, 3}, value_type = 2},
            bytes = {value = "\0\255", value_type = 1, representation = "raw"},
            doubles = {value = {0.5}, value_type = 3},
        },
    },
    {
        Timestamp = 1.5e18 + 1e9, Type = "kinds", Logger = "by list", Payload = "two",
        Fields = {
            {name = "twice", value = "first"},
            {name = "twice", value = {"second", "third"}, representation = "r"},
            {name = "size", value = 5, value_type = 2, representation = "B"},
            {name = "flag", value = false},
        },
    },
}

local wrong = {
    {{Fields = {a = {1, "b"}}}, "array has mixed types"},
    {{Fields = {a = {{}}}}, "unsupported array type: table"},
    {{Fields = {a = print}}, "unsupported type: function"},
    {{Fields = {{name = "a"}}}, "unsupported type: nil"},
}

function process_message(checkpoint)
    assert(checkpoint == nil or type(checkpoint) == "string")
    if checkpoint == "done" then return 0 end
    for i, v in ipairs(wrong) do
        local ok, err = pcall(inject_message, v[1])
        assert(not ok and string.find(err, v[2], 1, true), err)
    end
    for i, v in ipairs(messages) do
        inject_message(v)
    end
    inject_message(nil, "done")
    return 0, "made them"
end
