//! The patterns that are known by name, in the dialect of this engine: no look-around.

/// The pattern called `name`.
#[must_use]
pub fn known(name: &str) -> Option<&'static str> {
    PATTERNS.iter().find(|(known, _)| *known == name).map(|(_, pattern)| *pattern)
}

/// Names and patterns; what is used by another may stand behind it.
pub const PATTERNS: &[(&str, &str)] = &[
    // Words and text.
    ("WORD", r"\b\w+\b"),
    ("NOTSPACE", r"\S+"),
    ("SPACE", r"\s*"),
    ("DATA", r".*?"),
    ("GREEDYDATA", r".*"),
    ("QUOTEDSTRING", r#"(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`)"#),
    ("QS", "%{QUOTEDSTRING}"),
    ("UUID", "[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"),
    ("USERNAME", "[a-zA-Z0-9._-]+"),
    ("USER", "%{USERNAME}"),
    ("EMAILLOCALPART", r"[a-zA-Z0-9!#$%&'*+\-/=?^_`{|}~.]{1,64}"),
    ("EMAILADDRESS", "%{EMAILLOCALPART}@%{HOSTNAME}"),
    // Numbers.
    ("INT", "[+-]?[0-9]+"),
    ("POSINT", r"\b[1-9][0-9]*\b"),
    ("NONNEGINT", r"\b[0-9]+\b"),
    ("BASE10NUM", r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"),
    ("NUMBER", "%{BASE10NUM}"),
    ("BASE16NUM", "[+-]?(?:0x)?[0-9A-Fa-f]+"),
    ("BASE16FLOAT", r"[+-]?(?:0x)?(?:[0-9A-Fa-f]+(?:\.[0-9A-Fa-f]*)?|\.[0-9A-Fa-f]+)"),
    // Networks.
    ("MAC", "(?:%{CISCOMAC}|%{WINDOWSMAC}|%{COMMONMAC})"),
    ("CISCOMAC", r"(?:[A-Fa-f0-9]{4}\.){2}[A-Fa-f0-9]{4}"),
    ("WINDOWSMAC", "(?:[A-Fa-f0-9]{2}-){5}[A-Fa-f0-9]{2}"),
    ("COMMONMAC", "(?:[A-Fa-f0-9]{2}:){5}[A-Fa-f0-9]{2}"),
    ("BYTE", "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"),
    ("IPV4", r"\b(?:%{BYTE}\.){3}%{BYTE}\b"),
    (
        "IPV6",
        r"(?:(?:[0-9A-Fa-f]{1,4}:){6}(?:%{IPV6END})|(?:(?:[0-9A-Fa-f]{1,4}:){0,5}[0-9A-Fa-f]{1,4})?::(?:(?:[0-9A-Fa-f]{1,4}:){0,5}(?:%{IPV4}|[0-9A-Fa-f]{1,4}))?)(?:%[0-9A-Za-z]+)?",
    ),
    ("IPV6END", "%{IPV4}|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}"),
    ("IP", "(?:%{IPV6}|%{IPV4})"),
    ("HOSTNAME", r"\b[0-9A-Za-z][0-9A-Za-z_-]{0,62}(?:\.[0-9A-Za-z][0-9A-Za-z_-]{0,62})*\.?"),
    ("HOST", "%{HOSTNAME}"),
    ("IPORHOST", "(?:%{IP}|%{HOSTNAME})"),
    ("HOSTPORT", "%{IPORHOST}:%{POSINT}"),
    // Paths and addresses of resources.
    ("PATH", "(?:%{UNIXPATH}|%{WINPATH})"),
    ("UNIXPATH", r"(?:/[\w%!$@:.,+~*()=-]*)+"),
    ("WINPATH", r"(?:[A-Za-z]:|\\)(?:\\[^\\?*\s]*)+"),
    ("TTY", r"/dev/(?:pts/[0-9]+|tty[a-zA-Z]*[0-9]*)"),
    ("URIPROTO", r"[A-Za-z][A-Za-z0-9+.-]*"),
    ("URIHOST", "%{IPORHOST}(?::%{POSINT})?"),
    ("URIPATH", r"(?:/[A-Za-z0-9$.+!*'(){},~:;=@#%&_-]*)+"),
    ("URIQUERY", r"[A-Za-z0-9$.+!*'|(){},~@#%&/=:;_?\[\]<>-]*"),
    ("URIPARAM", r"\?%{URIQUERY}"),
    ("URIPATHPARAM", "%{URIPATH}(?:%{URIPARAM})?"),
    ("URI", "%{URIPROTO}://(?:%{USER}(?::[^@]*)?@)?(?:%{URIHOST})?(?:%{URIPATHPARAM})?"),
    // Days and times.
    (
        "MONTH",
        r"\b(?:[Jj]an(?:uary)?|[Ff]eb(?:ruary)?|[Mm]ar(?:ch)?|[Aa]pr(?:il)?|[Mm]ay|[Jj]une?|[Jj]uly?|[Aa]ug(?:ust)?|[Ss]ep(?:tember)?|[Oo]ct(?:ober)?|[Nn]ov(?:ember)?|[Dd]ec(?:ember)?)\b",
    ),
    ("MONTHNUM", "(?:1[0-2]|0?[1-9])"),
    ("MONTHNUM2", "(?:1[0-2]|0[1-9])"),
    ("MONTHDAY", "(?:3[01]|[12][0-9]|0?[1-9])"),
    (
        "DAY",
        "(?:Mon(?:day)?|Tue(?:sday)?|Wed(?:nesday)?|Thu(?:rsday)?|Fri(?:day)?|Sat(?:urday)?|Sun(?:day)?)",
    ),
    ("YEAR", "(?:[0-9]{4}|[0-9]{2})"),
    ("HOUR", "(?:2[0-3]|[01]?[0-9])"),
    ("MINUTE", "[0-5][0-9]"),
    ("SECOND", r"(?:[0-5]?[0-9]|60)(?:[:.,][0-9]+)?"),
    ("TIME", "%{HOUR}:%{MINUTE}(?::%{SECOND})?"),
    ("DATE_US", "%{MONTHNUM}[/-]%{MONTHDAY}[/-]%{YEAR}"),
    ("DATE_EU", "%{MONTHDAY}[./-]%{MONTHNUM}[./-]%{YEAR}"),
    ("DATE", "(?:%{DATE_US}|%{DATE_EU})"),
    ("DATESTAMP", "%{DATE}[- ]%{TIME}"),
    ("ISO8601_TIMEZONE", "(?:Z|[+-]%{HOUR}(?::?%{MINUTE})?)"),
    ("ISO8601_SECOND", "%{SECOND}"),
    (
        "TIMESTAMP_ISO8601",
        "%{YEAR}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?(?:%{ISO8601_TIMEZONE})?",
    ),
    ("TZ", "[A-Z]{3,4}"),
    ("DATESTAMP_RFC822", "%{DAY} %{MONTH} %{MONTHDAY} %{YEAR} %{TIME} %{TZ}"),
    (
        "DATESTAMP_RFC2822",
        "%{DAY}, %{MONTHDAY} %{MONTH} %{YEAR} %{TIME} (?:%{ISO8601_TIMEZONE}|%{TZ})",
    ),
    ("DATESTAMP_OTHER", "%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{TZ} %{YEAR}"),
    ("DATESTAMP_EVENTLOG", "%{YEAR}%{MONTHNUM2}%{MONTHDAY}%{HOUR}%{MINUTE}%{SECOND}"),
    ("HTTPDATE", "%{MONTHDAY}/%{MONTH}/%{YEAR}:%{TIME} %{INT}"),
    ("SYSLOGTIMESTAMP", "%{MONTH} +%{MONTHDAY} %{TIME}"),
    ("HTTPDERROR_DATE", "%{DAY} %{MONTH} +%{MONTHDAY} %{TIME} %{YEAR}"),
    // Syslog.
    ("PROG", r"[!-Z\\^-~]+"),
    ("SYSLOGPROG", r"%{PROG:program}(?:\[%{POSINT:Pid}\])?"),
    ("SYSLOGHOST", "%{IPORHOST}"),
    ("SYSLOGFACILITY", "<%{NONNEGINT:facility:int}.%{NONNEGINT:priority:int}>"),
    (
        "SYSLOGBASE",
        "%{SYSLOGTIMESTAMP:Timestamp} (?:%{SYSLOGFACILITY} )?%{SYSLOGHOST:Hostname} %{SYSLOGPROG}:",
    ),
    ("SYSLOGLINE", "%{SYSLOGBASE} %{GREEDYDATA:Payload}"),
    (
        "LOGLEVEL",
        r"(?:[Tt]race|TRACE|[Dd]ebug|DEBUG|FINE[RS]?T?|[Nn]otice|NOTICE|[Ii]nfo(?:rmation)?|INFO(?:RMATION)?|[Ww]arn(?:ing)?|WARN(?:ING)?|[Ee]rr(?:or)?|ERR(?:OR)?|[Cc]rit(?:ical)?|CRIT(?:ICAL)?|[Ff]atal|FATAL|[Ss]evere|SEVERE|[Aa]lert|ALERT|[Ee]merg(?:ency)?|EMERG(?:ENCY)?|[Pp]anic|PANIC)",
    ),
    ("CRON_ACTION", "[A-Z ]+"),
    ("CRONLOG", r"%{SYSLOGBASE} \(%{USER:user}\) %{CRON_ACTION:action} \(%{DATA:Payload}\)"),
    // Web servers, with the names that their own decoders give.
    (
        "COMMONAPACHELOG",
        r#"%{IPORHOST:remote_addr} %{NOTSPACE:remote_ident} %{NOTSPACE:remote_user} \[%{HTTPDATE:Timestamp}\] "%{DATA:request}" (?:-|%{INT:status:int}) (?:-|%{INT:body_bytes_sent:int})"#,
    ),
    ("COMBINEDAPACHELOG", r#"%{COMMONAPACHELOG} "%{DATA:http_referer}" "%{DATA:http_user_agent}""#),
    // Java and other languages.
    ("JAVACLASS", r"(?:[a-zA-Z$_][a-zA-Z$_0-9]*\.)*[a-zA-Z$_][a-zA-Z$_0-9]*"),
    ("JAVAFILE", r"[a-zA-Z$_0-9. -]+"),
    ("JAVAMETHOD", r"(?:<(?:cl)?init>|[a-zA-Z$_][a-zA-Z$_0-9]*)"),
    (
        "JAVASTACKTRACEPART",
        r"\s*at %{JAVACLASS:class}\.%{JAVAMETHOD:method}\(%{JAVAFILE:file}(?::%{INT:line:int})?\)",
    ),
    ("JAVATHREAD", r"[A-Z]{2}-Processor[0-9]+"),
    ("JAVALOGMESSAGE", ".*"),
];
