---@meta

-- What scripts can call, for LuaLS: the same as the declarations for luau-lsp beside this file.

---@class BloomFilter
local BloomFilter = {}

--- Whether the key is new.
---@param key string|number
---@return boolean
function BloomFilter:add(key) end

--- Whether the key is there.
---@param key string|number
---@return boolean
function BloomFilter:query(key) end

--- How many keys were new.
---@return number
function BloomFilter:count() end

function BloomFilter:clear() end

--- Takes over the state of another of the same size.
---@param state string
function BloomFilter:fromstring(state) end

---@return string
function BloomFilter:state() end

---@class bloom_filter_library
bloom_filter = {}

--- For so many items; then `probability` (0 to 1) is that of a wrong yes.
---@param items number
---@param probability number
---@return BloomFilter
function bloom_filter.new(items, probability) end

---@return string
function bloom_filter.version() end

---@class CircularBuffer
local CircularBuffer = {}

--- Adds to a cell; the new value, nil before the window.
---@param nanoseconds number
---@param column number
---@param value number
---@return number?
function CircularBuffer:add(nanoseconds, column, value) end

--- Sets a cell; in columns of minima and maxima only a value beyond the one there counts.
---@param nanoseconds number
---@param column number
---@param value number
---@return number?
function CircularBuffer:set(nanoseconds, column, value) end

--- The value of a cell, NaN for an empty one, nil outside the window.
---@param nanoseconds number
---@param column number
---@return number?
function CircularBuffer:get(nanoseconds, column) end

--- Rows, columns, seconds per row.
---@return number
---@return number
---@return number
function CircularBuffer:get_configuration() end

--- Names a column; `aggregation` is sum, min, max or none.
---@param column number
---@param name string
---@param unit? string
---@param aggregation? string
---@return number
function CircularBuffer:set_header(column, name, unit, aggregation) end

--- Name, unit, aggregation.
---@param column number
---@return string
---@return string
---@return string
function CircularBuffer:get_header(column) end

--- `name` is sum, avg, sd, min, max or variance; the result and the number of rows not empty.
---@param name string
---@param column number
---@param start? number
---@param stop? number
---@return number?
---@return number?
function CircularBuffer:compute(name, column, start, stop) end

--- U of the first stretch, and the probability of such a difference by chance.
---@param column number
---@param start_1 number
---@param stop_1 number
---@param start_2 number
---@param stop_2 number
---@param use_continuity? boolean
---@return number?
---@return number?
function CircularBuffer:mannwhitneyu(column, start_1, stop_1, start_2, stop_2, use_continuity) end

--- When the newest row begins, in nanoseconds.
---@return number
function CircularBuffer:current_time() end

--- What is printed: cbuf (all rows) or cbufd (what changed).
---@param form string
---@return CircularBuffer
function CircularBuffer:format(form) end

--- What was added since the changes were printed, NaN for nothing; nil where changes are not kept.
---@param nanoseconds number
---@param column number
---@return number?
function CircularBuffer:get_delta(nanoseconds, column) end

--- Forgets the changes.
function CircularBuffer:reset_delta() end

--- The values, or the changes, oldest first; nil out of range.
---@param column number
---@param start? number
---@param stop? number
---@return number[]?
function CircularBuffer:get_range(column, start, stop) end

---@param column number
---@param start? number
---@param stop? number
---@return number[]?
function CircularBuffer:get_range_delta(column, start, stop) end

--- Puts a note at a cell; `importance` is info or alert. It is printed with changes unless `delta` is false.
---@param nanoseconds number
---@param column number
---@param importance string
---@param text string
---@param delta? boolean
function CircularBuffer:annotate(nanoseconds, column, importance, text, delta) end

--- Takes over the numbers that Heka preserved.
---@param text string
function CircularBuffer:fromstring(text) end

---@class circular_buffer_library
circular_buffer = {}

---@return string
function circular_buffer.version() end

---@param rows number
---@param columns number
---@param seconds_per_row number
---@param enable_delta? boolean
---@return CircularBuffer
function circular_buffer.new(rows, columns, seconds_per_row, enable_delta) end

---@class cjson_library
cjson = {}

--- What stands for null after decode_null(true).
---@type any
cjson.null = nil

---@param text string
---@return any
function cjson.decode(text) end

---@param value any
---@return string
function cjson.encode(value) end

--- Whether a null becomes cjson.null or is dropped.
---@param keep boolean
function cjson.decode_null(keep) end

---@type string
cjson._NAME = nil

---@type string
cjson._VERSION = nil

--- Whether NaN, Infinity and hexadecimal numbers are read; they are unless told otherwise.
---@param take? boolean
---@return boolean
function cjson.decode_invalid_numbers(take) end

--- Whether NaN and infinity are refused (false), written as JavaScript has them (true) or as "null".
---@param how? boolean|string
---@return boolean|string
function cjson.encode_invalid_numbers(how) end

---@param depth? number
---@return number
function cjson.decode_max_depth(depth) end

---@param depth? number
---@return number
function cjson.encode_max_depth(depth) end

---@param digits? number
---@return number
function cjson.encode_number_precision(digits) end

---@param convert? boolean
---@param ratio? number
---@param safe? number
---@return boolean
---@return number
---@return number
function cjson.encode_sparse_array(convert, ratio, safe) end

--- The value of this name; nil when there is none.
---@param name string
---@return any
function read_config(name) end

---@class CuckooFilter
local CuckooFilter = {}

--- Whether the key is new; fails when the filter is full.
---@param key string|number
---@return boolean
function CuckooFilter:add(key) end

--- Whether the key is there.
---@param key string|number
---@return boolean
function CuckooFilter:query(key) end

--- Takes a key out; whether it was there.
---@param key string|number
---@return boolean
function CuckooFilter:delete(key) end

--- How many keys are there.
---@return number
function CuckooFilter:count() end

function CuckooFilter:clear() end

--- Takes over the state of another of the same size.
---@param state string
function CuckooFilter:fromstring(state) end

---@return string
function CuckooFilter:state() end

---@class cuckoo_filter_library
cuckoo_filter = {}

---@param items number
---@return CuckooFilter
function cuckoo_filter.new(items) end

---@return string
function cuckoo_filter.version() end

---@class ExpiringCuckooFilter
local ExpiringCuckooFilter = {}

--- Whether the key is new, and how many intervals ago it was used last; nil when the time is before all
--- that is kept. A filter that is four fifths full forgets what was not used for longest.
---@param key string|number
---@param nanoseconds number
---@return boolean?
---@return number?
function ExpiringCuckooFilter:add(key, nanoseconds) end

--- Whether the key is there, and how many intervals ago it was used last.
---@param key string|number
---@return boolean
---@return number
function ExpiringCuckooFilter:query(key) end

--- When the newest interval begins, in nanoseconds, and its number among the 256.
---@return number
---@return number
function ExpiringCuckooFilter:current_interval() end

---@param key string|number
---@return boolean
function ExpiringCuckooFilter:delete(key) end

---@return number
function ExpiringCuckooFilter:count() end

function ExpiringCuckooFilter:clear() end

---@param state string
function ExpiringCuckooFilter:fromstring(state) end

---@return string
function ExpiringCuckooFilter:state() end

---@class cuckoo_filter_expire_library
cuckoo_filter_expire = {}

--- For so many items; an interval has so many minutes.
---@param items number
---@param interval_size number
---@return ExpiringCuckooFilter
function cuckoo_filter_expire.new(items, interval_size) end

---@return string
function cuckoo_filter_expire.version() end

---@class DdSketch
local DdSketch = {}

--- A value that is not finite is passed over.
---@param value number
---@param times? number
function DdSketch:add(value, times) end

--- The value below which the part `rank` (0 to 1) of all lies; nil of none.
---@param rank number
---@return number?
function DdSketch:quantile(rank) end

---@return number
function DdSketch:count() end

---@return number
function DdSketch:sum() end

---@return number?
function DdSketch:min() end

---@return number?
function DdSketch:max() end

---@return number?
function DdSketch:avg() end

--- Adds what another of the same accuracy has counted.
---@param other DdSketch
function DdSketch:merge(other) end

function DdSketch:clear() end

---@param state string
function DdSketch:fromstring(state) end

---@return string
function DdSketch:state() end

---@class ddsketch_library
ddsketch = {}

--- Quantiles are right to the part `accuracy`, 0.01 where left out.
---@param accuracy? number
---@return DdSketch
function ddsketch.new(accuracy) end

---@class DecodedField
---@field name string
---@field value_type number
---@field representation? string
---@field value (string|number|boolean)[]

---@class DecodedMessage
---@field Uuid? string
---@field Timestamp? number
---@field Type? string
---@field Logger? string
---@field Severity? number
---@field Payload? string
---@field EnvVersion? string
---@field Pid? number
---@field Hostname? string
---@field Fields? DecodedField[]

---@param protobuf string
---@return DecodedMessage
function decode_message(protobuf) end

--- Value type, name, first value, representation, number of values; nil after the last field.
---@return number?
---@return string?
---@return (string|number|boolean)?
---@return string?
---@return number?
function read_next_field() end

---@class GeoipDatabase
local GeoipDatabase = {}

--- What stands under these names, of lists numbers from one; a table or list is JSON. Nil where there is
--- nothing.
---@param address string
---@param ... string|number
---@return (string|number|boolean)?
function GeoipDatabase:find(address, ...) end

--- When it was made, in seconds since the epoch.
---@return number?
function GeoipDatabase:build_time() end

---@class geoip_library
geoip = {}

--- The database in a file that the section's config names.
---@param path string
---@return GeoipDatabase
function geoip.open(path) end

---@class hmac_library
hmac = {}

---@param key string
---@param text string
---@param raw? boolean
---@return string
function hmac.md5(key, text, raw) end

---@param key string
---@param text string
---@param raw? boolean
---@return string
function hmac.sha1(key, text, raw) end

---@param key string
---@param text string
---@param raw? boolean
---@return string
function hmac.sha256(key, text, raw) end

---@param key string
---@param text string
---@param raw? boolean
---@return string
function hmac.sha512(key, text, raw) end

---@class HyperLogLog
local HyperLogLog = {}

--- Whether the estimate changed.
---@param key string|number
---@return boolean
function HyperLogLog:add(key) end

---@return number
function HyperLogLog:count() end

--- Takes in what another has counted.
---@param other HyperLogLog
---@return HyperLogLog
function HyperLogLog:merge(other) end

function HyperLogLog:clear() end

---@param state string
function HyperLogLog:fromstring(state) end

--- So does `tostring`.
---@return string
function HyperLogLog:state() end

---@class hyperloglog_library
hyperloglog = {}

---@return HyperLogLog
function hyperloglog.new() end

--- How many different keys there were in all of them together.
---@param hll HyperLogLog
---@param ... HyperLogLog
---@return number
function hyperloglog.count(hll, ...) end

---@return string
function hyperloglog.version() end

---@alias FieldValue string|number|boolean|CircularBuffer

---@class Field
---@field name? string
---@field value FieldValue|FieldValue[]
---@field value_type? number
---@field representation? string

---@class MessageTable
---@field Uuid? string
---@field Timestamp? number
---@field Type? string
---@field Logger? string
---@field Severity? number
---@field Payload? string
---@field EnvVersion? string
---@field Pid? number
---@field Hostname? string
---@field Fields? table values or Fields by name, or a list of Fields

--- In a filter the Type gets `heka.sandbox.` in front, Logger is the filter, Hostname this host. The
--- first message of a decoder replaces its record; that of an encoder is its output.
---@param message? MessageTable|string|StreamReader
---@param checkpoint? (number|string)
function inject_message(message, checkpoint) end

--- False when the script is asked to end.
---@return boolean
function is_running() end

---@class File
local File = {}

--- *l a line, *a all, *n a number, or so many bytes.
---@param ... string|number
---@return (string|number)? ...
function File:read(...) end

---@return fun(): string?
function File:lines() end

---@param ... string|number|MessageReader
---@return boolean?
---@return string?
---@return number?
function File:write(...) end

--- `whence` is set, cur or end.
---@param whence? string
---@param offset? number
---@return number?
---@return string?
---@return number?
function File:seek(whence, offset) end

---@return boolean?
function File:flush() end

--- `no` writes everything at once.
---@param mode string
---@param size? number
---@return boolean
function File:setvbuf(mode, size) end

---@return boolean?
---@return string?
---@return number?
function File:close() end

-- io

---@param filename string
---@param mode? string
---@return File?
---@return string?
---@return number?
function io.open(filename, mode) end

--- The lines of a file, or of standard input.
---@param filename? string
---@return fun(): string?
function io.lines(filename) end

---@param command string
---@param mode? string
---@return File?
---@return string?
---@return number?
function io.popen(command, mode) end

---@return File?
---@return string?
---@return number?
function io.tmpfile() end

---@param value any
---@return string?
function io.type(value) end

---@type File
io.stdin = nil

---@type File
io.stdout = nil

---@type File
io.stderr = nil

--- What `read` reads: standard input unless another is given.
---@param file? File|string
---@return File
function io.input(file) end

--- What `write` writes to: standard output unless another is given.
---@param file? File|string
---@return File
function io.output(file) end

---@param ... string|number
---@return (string|number)? ...
function io.read(...) end

---@param ... string|number
---@return boolean?
---@return string?
---@return number?
function io.write(...) end

---@return boolean?
---@return string?
---@return number?
function io.flush() end

--- Closes a file, or what `write` writes to.
---@param file? File
---@return boolean?
---@return string?
---@return number?
function io.close(file) end

---@class IpSet
local IpSet = {}

--- Adds a network with a value; true where it is left out.
---@param network string
---@param value? (string|number|boolean)
function IpSet:add(network, value) end

--- Takes a network out; whether it was there.
---@param network string
---@return boolean
function IpSet:remove(network) end

--- The value of the narrowest network that the address lies in, and the network.
---@param address string
---@return (string|number|boolean)?
---@return string?
function IpSet:find(address) end

---@param address string
---@return boolean
function IpSet:has(address) end

--- How many networks there are.
---@return number
function IpSet:count() end

function IpSet:clear() end

---@class ip_library
ip = {}

--- The address or network in its usual form; nil when it is none.
---@param text string
---@return string?
function ip.parse(text) end

--- 4 or 6.
---@param text string
---@return number?
function ip.version(text) end

---@param network string
---@param address string
---@return boolean?
function ip.contains(network, address) end

---@param networks? string[]
---@return IpSet
function ip.set(networks) end

--- patt * patt: one, then the other.    patt + patt: one, or else the other.
--- patt - patt: one, where the other does not match.    -patt: where it does not match.
--- patt ^ n: at least n times; below zero at most -n times.    #patt: where it matches, consuming nothing.
--- A number is no pattern there: `#patt * lpeg.P(1)`, for `#patt` is a number to Lua.
--- patt / x: captures go through a string with %1, a number, a table or a function.
---@class LpegPattern
---@operator mul(any): LpegPattern
---@operator add(any): LpegPattern
---@operator sub(any): LpegPattern
---@operator div(any): LpegPattern
---@operator pow(any): LpegPattern
---@operator unm: LpegPattern
local LpegPattern = {}

--- Matches the text from `init` on: what it captures, or the position behind it; nil if it fails.
---@param text string
---@param init? number
---@param ... any
---@return any ...
function LpegPattern:match(text, init, ...) end

---@class lpeg_library
lpeg = {}

--- The pattern that a value stands for.
---@param value any
---@return LpegPattern
function lpeg.P(value) end

--- Any one of the bytes of the text.
---@param text string
---@return LpegPattern
function lpeg.S(text) end

--- Any one of the bytes in the ranges, each of two bytes: `R("az", "09")`.
---@param ... string
---@return LpegPattern
function lpeg.R(...) end

--- The rule of that name in the grammar around it.
---@param name any
---@return LpegPattern
function lpeg.V(name) end

--- What ends here.
---@param patt any
---@return LpegPattern
function lpeg.B(patt) end

--- Captures the text matched.
---@param patt any
---@return LpegPattern
function lpeg.C(patt) end

--- Gives constants.
---@param ... any
---@return LpegPattern
function lpeg.Cc(...) end

--- Captures the values inside, together or under a name.
---@param patt any
---@param name? any
---@return LpegPattern
function lpeg.Cg(patt, name) end

--- The values of the group captured last under the name.
---@param name any
---@return LpegPattern
function lpeg.Cb(name) end

--- Folds the values inside: `fold(fold(first, second), third)`.
---@param patt any
---@param fold fun(...: any): any
---@return LpegPattern
function lpeg.Cf(patt, fold) end

--- Captures the text matched, with the parts captured inside replaced by their values.
---@param patt any
---@return LpegPattern
function lpeg.Cs(patt) end

--- Captures a table of the values inside; groups with names are its fields.
---@param patt any
---@return LpegPattern
function lpeg.Ct(patt) end

--- Asks the function, while matching: text, position, values; it returns false, true or a position,
--- then values.
---@param patt any
---@param ask fun(...: any): ...
---@return LpegPattern
function lpeg.Cmt(patt, ask) end

--- The extra argument of `match` of this number.
---@param number number
---@return LpegPattern
function lpeg.Carg(number) end

--- Captures the position.
---@return LpegPattern
function lpeg.Cp() end

--- Matches the text from `init` on: what it captures, or the position behind it; nil if it fails.
---@param patt any
---@param text string
---@param init? number
---@param ... any
---@return any ...
function lpeg.match(patt, text, init, ...) end

--- "pattern", or nil for anything else.
---@param value any
---@return string?
function lpeg.type(value) end

--- The classes alnum, alpha, cntrl, digit, graph, lower, print, punct, space, upper, xdigit.
---@param into? table<string, any>
---@return table<string, any>
function lpeg.locale(into) end

--- The most choices and calls of a match at a time; 400 unless told.
---@param most number
function lpeg.setmaxstack(most) end

--- The version whose functions these are.
---@return string
function lpeg.version() end

-- math

---@param low? number
---@param high? number
---@return number
function math.random(low, high) end

---@param seed number
function math.randomseed(seed) end

--- The error function.
---@param x number
---@return number
function math.erf(x) end

--- What the error function lacks to 1.
---@param x number
---@return number
function math.erfc(x) end

---@class MessageMatcher
local MessageMatcher = {}

---@return boolean
function MessageMatcher:eval() end

---@param expression string
---@return MessageMatcher
function create_message_matcher(expression) end

---@class Message
---@field Uuid string
---@field Timestamp number
---@field Type string
---@field Logger string
---@field Severity number
---@field Payload string
---@field EnvVersion string
---@field Pid number
---@field Hostname string
---@field raw string The encoded message, the same framed, and its size in bytes.
---@field framed string
---@field size number
---@field Fields table<string, (string|number|boolean)?> The first value of the first field of a name.
local Message = {}

-- os

---@param parts? { year: number, month: number, day: number, hour: number?, min: number?, sec: number? }
---@return number
function os.time(parts) end

---@param format? string
---@param seconds? number
---@return any
function os.date(format, seconds) end

---@return number
function os.clock() end

---@param later number
---@param earlier? number
---@return number
function os.difftime(later, earlier) end

--- Writes to the log of the host, at most 20 lines a call.
---@param ... any
function print(...) end

--- The protobuf bytes, in a frame where `framed` is true; Timestamp, Logger, Hostname and Pid are filled in
--- where they are missing.
---@param message MessageTable
---@param framed? boolean
---@return string
function encode_message(message, framed) end

--- Without arguments all messages so far are done; else the one with this number is.
---@param sequence_id? number
---@param failures? number
function update_checkpoint(sequence_id, failures) end

--- Appends to the payload of this call.
---@param ... string|number|boolean|CircularBuffer|MessageReader|nil
function add_to_payload(...) end

--- Appends the rest of its arguments and sends the payload; `payload_type` is a file extension.
---@param payload_type? string
---@param payload_name? string
---@param ... string|number|boolean|CircularBuffer|MessageReader|nil
function inject_payload(payload_type, payload_name, ...) end

---@class re_library
re = {}

--- The pattern that a text describes; `defs` has what it names.
---@param pattern string|LpegPattern
---@param defs? table<string, any>
---@return LpegPattern
function re.compile(pattern, defs) end

--- Matches at `init`: what the pattern captures, or the position behind it; nil if it fails.
---@param text string
---@param pattern string|LpegPattern
---@param init? number
---@return any ...
function re.match(text, pattern, init) end

--- Where the pattern matches first, from `init` on: first and last position.
---@param text string
---@param pattern string|LpegPattern
---@param init? number
---@return number?
---@return number?
function re.find(text, pattern, init) end

--- The text with all matches replaced.
---@param text string
---@param pattern string|LpegPattern
---@param replacement any
---@return string
function re.gsub(text, pattern, replacement) end

--- Reads the classes of the locale anew.
function re.updatelocale() end

---@class MessageReader
local MessageReader = {}

--- `name`: Uuid, Timestamp, Type, Logger, Severity, Payload, EnvVersion, Pid, Hostname, raw, framed,
--- size or Fields[name]; the indices count from zero. Nil when there is none.
--- With `zero_copy`, a reader that stands for what may be text, of whatever message is at hand when it is given to
--- add_to_payload, inject_payload or a file's write.
---@param name string
---@param field_index? number
---@param array_index? number
---@param zero_copy? boolean
---@return any
---@overload fun(name: "Type"|"Logger"|"Payload"|"EnvVersion"|"Hostname"|"Uuid"|"raw"|"framed"): string
---@overload fun(name: "Timestamp"|"Severity"|"Pid"|"size"): number
function read_message(name, field_index, array_index, zero_copy) end

---@class Regex
local Regex = {}

---@param text string
---@return boolean
function Regex:test(text) end

--- The groups, or all that was found where there is none; a group that took no part is nil.
---@param text string
---@param start? number
---@return string? ...
function Regex:match(text, start) end

--- Where it begins and ends, and the groups.
---@param text string
---@param start? number
---@return number?
---@return number?
---@return any ...
function Regex:find(text, start) end

--- The groups by number and by name, the whole under 0.
---@param text string
---@param start? number
---@return table<number|string, string>?
function Regex:captures(text, start) end

--- What `match` gives for each match: a string, or a list of groups; false for one that took no part.
---@param text string
---@return any[]
function Regex:all(text) end

--- The text with matches replaced, and how many there were. `$1` and `${name}` are groups.
---@param text string
---@param replacement string
---@param count? number
---@return string
---@return number
function Regex:gsub(text, replacement, count) end

---@class regex_library
regex = {}

---@param expression string
---@return Regex
function regex.new(expression) end

--- An expression that finds just the text.
---@param text string
---@return string
function regex.escape(text) end

--- Modules, from the module folders of the section and those built in; each is run once.
---@param name string
---@return any
function require(name) end

--- Makes a table the environment of the module that calls it, as Lua 5.1 does.
---@param name string
---@param ... any) -> (
function module(name, ...) end

---@class package_library
-- package

--- The modules that are loaded, by their names.
---@type table<string, any>
package.loaded = nil

--- Lets the functions of a module see the globals.
---@param module table<any, any>
function package.seeall(module) end

---@class SaxWord
local SaxWord = {}

---@return SaxWord
function SaxWord:copy() end

---@class SaxWindow
local SaxWindow = {}

--- NaN is a value that is missing.
---@param ... number
function SaxWindow:add(...) end

---@return SaxWord
function SaxWindow:get_word() end

function SaxWindow:clear() end

---@param state string
function SaxWindow:fromstring(state) end

---@class sax_library
sax = {}

---@class sax_window_library
sax.window = {}

--- The last `n` values, in words of `w` letters of `c`.
---@param n number
---@param w number
---@param c number
---@return SaxWindow
function sax.window.new(n, w, c) end

---@class sax_word_library
sax.word = {}

--- Of a list of numbers (values, w, c), or of letters and # for what is missing (word, c).
---@param values number[]|string
---@param w number
---@param c? number
---@return SaxWord
function sax.word.new(values, w, c) end

--- As `sax.window.new` was called later.
---@param n number
---@param w number
---@param c number
---@return SaxWindow
function sax.new_window(n, w, c) end

--- As `sax.word.new` was called later.
---@param values number[]|string
---@param w number
---@param c? number
---@return SaxWord
function sax.new_word(values, w, c) end

--- How far two words are apart at least.
---@param a SaxWord|SaxWindow
---@param b SaxWord|SaxWindow
---@return number
function sax.mindist(a, b) end

---@return string
function sax.version() end

---@class sha_library
sha = {}

---@param text string
---@param raw? boolean
---@return string
function sha.md5(text, raw) end

---@param text string
---@param raw? boolean
---@return string
function sha.sha1(text, raw) end

---@param text string
---@param raw? boolean
---@return string
function sha.sha256(text, raw) end

---@param text string
---@param raw? boolean
---@return string
function sha.sha384(text, raw) end

---@param text string
---@param raw? boolean
---@return string
function sha.sha512(text, raw) end

---@class Socket
local Socket = {}

---@param host string
---@param port number
---@return number?
---@return string?
function Socket:connect(host, port) end

---@param host string
---@param port number
---@return number?
---@return string?
function Socket:bind(host, port) end

---@param backlog? number
---@return number?
---@return string?
function Socket:listen(backlog) end

---@return Socket?
---@return string?
function Socket:accept() end

--- The place of the last byte sent; else nil, why, and that place.
---@param data string
---@param first? number
---@param last? number
---@return number?
---@return string?
---@return number?
function Socket:send(data, first, last) end

--- *l a line, *a all, or so many bytes; else nil, why, and what was there. Of UDP a datagram.
---@param pattern? (string|number)
---@param prefix? string
---@return string?
---@return string?
---@return string?
function Socket:receive(pattern, prefix) end

---@param host string
---@param port number
---@return number?
---@return string?
function Socket:setsockname(host, port) end

---@param host string
---@param port number
---@return number?
---@return string?
function Socket:setpeername(host, port) end

---@param data string
---@param host string
---@param port number
---@return number?
---@return string?
function Socket:sendto(data, host, port) end

--- A datagram, and the address and port it comes from.
---@param size? number
---@return string?
---@return string?
---@return number?
function Socket:receivefrom(size) end

--- Nil or below zero waits as long as it takes.
---@param seconds? number
---@return number
function Socket:settimeout(seconds) end

--- keepalive, tcp-nodelay, reuseaddr, broadcast
---@param name string
---@param value boolean
---@return number?
---@return string?
function Socket:setoption(name, value) end

---@return string?
---@return number?
function Socket:getpeername() end

---@return string?
---@return number?
function Socket:getsockname() end

--- send, receive or both.
---@param mode? string
---@return number?
---@return string?
function Socket:shutdown(mode) end

---@return number
function Socket:close() end

---@class socket_library
socket = {}

---@return Socket
function socket.tcp() end

---@return Socket
function socket.udp() end

--- A connected TCP socket.
---@param host string
---@param port number
---@return Socket?
---@return string?
function socket.connect(host, port) end

--- A TCP socket that listens.
---@param host string
---@param port number
---@return Socket?
---@return string?
function socket.bind(host, port) end

--- Seconds since the epoch, with their fraction.
---@return number
function socket.gettime() end

---@param seconds number
function socket.sleep(seconds) end

--- Those that can be read and those that can be written to, each by its number and by itself; and timeout where
--- there are none.
---@param readers? Socket[]
---@param writers? Socket[]
---@param seconds? number
---@return table
---@return table
---@return string?
function socket.select(readers, writers, seconds) end

socket.dns = {}

---@return string
function socket.dns.gethostname() end

--- The first address, and a table of all.
---@param host string
---@return string?
---@return any
function socket.dns.toip(host) end

---@class StreamReader
local StreamReader = {}

--- Whether a message was found, the bytes passed over, and the bytes still needed; of a file the bytes
--- read, 0 at its end. `decode` false takes anything framed for a message.
---@param source? (string|File)
---@param decode? boolean
---@return boolean
---@return number
---@return number
function StreamReader:find_message(source, decode) end

--- Loads one message without a frame; raises when it is none.
---@param message string
function StreamReader:decode_message(message) end

---@param name string
---@param field_index? number
---@param array_index? number
---@return (string|number|boolean)?
function StreamReader:read_message(name, field_index, array_index) end

---@param name string
---@return StreamReader
function create_stream_reader(name) end

-- string

---@param text string
---@param pattern string
---@param init? number
---@param plain? boolean
---@return number?
---@return number?
---@return any ...
function string.find(text, pattern, init, plain) end

---@param text string
---@param separator? string
---@return string[]
function string.split(text, separator) end

---@class struct_library
struct = {}

---@param format string
---@param ... any
---@return string
function struct.pack(format, ...) end

--- The values, and where the next would begin.
---@param format string
---@param text string
---@param start? number
---@return any ...
function struct.unpack(format, text, start) end

---@param format string
---@return number
function struct.size(format) end

--- `name` as for read_message. Nil takes the value away. The indices count from zero and may address
--- what is there or the next one. Numbers make fields of doubles.
---@param name string
---@param value? string|number|boolean
---@param representation? string
---@param field_index? number
---@param array_index? number
function write_message(name, value, representation, field_index, array_index) end

---@class xxhash_library
xxhash = {}

---@param key string|number
---@param seed? number
---@return number
function xxhash.h32(key, seed) end

--- Rounded to the 53 bits of a number.
---@param key string|number
---@param seed? number
---@return number
function xxhash.h64(key, seed) end

--- All 64 bits, as 16 digits.
---@param key string|number
---@param seed? number
---@return string
function xxhash.hex64(key, seed) end
