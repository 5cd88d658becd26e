//! Statistics drawn by a real graphite-web, by the configuration that is shipped.

use std::net::TcpStream;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use anyhow::Context;
use libtest_mimic::Trial;

use super::answer::curl;
use crate::harness::Place;
use crate::harness::carbon;
use crate::harness::server::Server;
use crate::harness::server::free_port;
use crate::suite::test_with;

/// Debian's, for which the packages of graphite-web are.
const PYTHON: &str = "/usr/bin/python3";

pub(super) fn trials() -> Vec<Trial> {
    let name = "destinations::graphite_web_draws_what_is_told";
    let needs = [PYTHON, "carbon-cache", "/usr/lib/python3/dist-packages/graphite/wsgi.py"];
    vec![test_with(&needs, name, is_drawn)]
}

/// What is read by Django; `DIR` is the place.
const SETTINGS: &str = "\
from graphite.settings import *
SECRET_KEY = 'of a test'
TIME_ZONE = 'UTC'
ALLOWED_HOSTS = ['*']
STORAGE_DIR = 'DIR/storage'
INDEX_FILE = 'DIR/index'
WHISPER_DIR = 'DIR/whisper'
STANDARD_DIRS = [WHISPER_DIR]
CONF_DIR = 'DIR/conf'
LOG_DIR = 'DIR/log'
CARBONLINK_HOSTS = ['127.0.0.1:QUERY']
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'DIR/graphite.db'}}
";

const SERVER: &str = "\
import sys
from django.core.management import execute_from_command_line
execute_from_command_line(['django', 'migrate', '--run-syncdb', '--verbosity', '0'])
from wsgiref.simple_server import make_server
from graphite.wsgi import application
make_server('127.0.0.1', int(sys.argv[1]), application).serve_forever()
";

/// Counts the pixels of a picture by colour and prints its size, and how many are blue.
const PIXELS: &str = "\
import cairo, sys
picture = cairo.ImageSurface.create_from_png(sys.argv[1])
data, stride = picture.get_data(), picture.get_stride()
blue = 0
for y in range(picture.get_height()):
    for x in range(picture.get_width()):
        b, g, r = data[y * stride + 4 * x : y * stride + 4 * x + 3]
        blue += b > 200 and r < 140 and g < 140
print(picture.get_width(), picture.get_height(), blue)
";

fn start_web(place: &Place, query: u16, port: u16) -> anyhow::Result<Server> {
    let folder = place.path("").display().to_string();
    let settings = SETTINGS.replace("DIR/", &folder).replace("QUERY", &query.to_string());
    place.write("web/settings.py", &settings)?;
    place.write("web/serve.py", SERVER)?;
    for name in ["storage", "log"] {
        std::fs::create_dir_all(place.path(name))?;
    }
    let mut command = Command::new(PYTHON);
    command.arg(place.path("web/serve.py")).arg(port.to_string());
    command.env("DJANGO_SETTINGS_MODULE", "settings").env("PYTHONPATH", place.path("web"));
    Server::start(command, port)
}

/// What is shipped, summing up every second, with further points that come as lines.
fn config(to: u16) -> anyhow::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/graphite.toml");
    let mut text = std::fs::read_to_string(path)?;
    let changes = [
        ("127.0.0.1:8125", "127.0.0.1:0".to_owned()),
        ("ticker_interval = 10", "ticker_interval = 1".to_owned()),
        ("127.0.0.1:2003", format!("127.0.0.1:{to}")),
        ("/var/lib/graphite/whisper", "DIR/own".to_owned()),
        (
            "Type == 'heka.statmetric'\"\naddress",
            "Type == 'heka.statmetric' || Type == 'lines'\"\naddress".to_owned(),
        ),
    ];
    for (from, to) in changes {
        anyhow::ensure!(text.contains(from), "the configuration has no `{from}`");
        text = text.replace(from, &to);
    }
    Ok(text
        + "\n[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
           decoder = ''\n")
}

fn is_drawn() -> anyhow::Result<()> {
    let (ports, web_port) = (carbon::Ports::free()?, free_port()?);
    let place = Place::new(&config(ports.lines)?)?;
    carbon::configure(&place, ports, 5000)?;
    let _carbon = carbon::start(&place, ports)?;
    let _web = start_web(&place, ports.query, web_port)?;
    let mut engine = place.run(&[])?;
    let statsd = UdpSocket::bind("127.0.0.1:0")?;
    statsd.connect(engine.address("statsd")?)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 60 * 60;
    let value = |minute: u64| minute * minute % 97;
    let lines: String =
        (0..110).map(|ago| format!("shop.requests {} {}\n", value(ago), now - 60 * ago)).collect();
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    std::io::Write::write_all(&mut stream, lines.as_bytes())?;
    let render = |target: &str, more: &str| {
        curl(&[&format!("http://127.0.0.1:{web_port}/render?target={target}&{more}")])
    };
    // The last hour, as it was told; the last point may lie behind what is asked for.
    let is_there = |ago: u64, answer: &str| {
        answer.contains(&format!("[{}.0, {}]", value(ago), now - 60 * ago))
    };
    engine.wait_for("the points to be shown", |_| {
        let answer = render("shop.requests", "format=json&from=-2h").ok()?;
        (1..110).all(|ago| is_there(ago, &answer)).then_some(())
    })?;
    // Counted a second, by the name that StatAccumInput gives.
    engine.wait_for("the counter to be shown", |_| {
        statsd.send(b"shop.orders:3|c").ok()?;
        let answer = render("stats.counters.shop.orders.count", "format=json&from=-5min").ok()?;
        let points = answer.split("\"datapoints\": ").nth(1)?;
        points
            .split('[')
            .any(|point| {
                point
                    .split('.')
                    .next()
                    .and_then(|count| count.parse().ok())
                    .is_some_and(|it: u64| it > 0 && it.is_multiple_of(3))
            })
            .then_some(())
    })?;
    let picture = place.path("graph.png");
    let url = "width=600&height=300&from=-2h&lineWidth=2";
    let url = format!("http://127.0.0.1:{web_port}/render?target=shop.requests&{url}");
    curl(&["-o", &picture.display().to_string(), &url])?;
    if let Some(kept) = std::env::var_os("HEKA_GRAPH") {
        // To be looked at.
        std::fs::copy(&picture, kept)?;
    }
    let counted = Command::new(PYTHON).args(["-c", PIXELS]).arg(&picture).output();
    let counted = String::from_utf8(counted.context("cannot start python")?.stdout)?;
    let numbers: Vec<u32> = counted.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    anyhow::ensure!(numbers.get(..2) == Some(&[600, 300]), "{counted}");
    // A line over all of the width.
    anyhow::ensure!(numbers.get(2).is_some_and(|blue| *blue > 1500), "{counted}");
    engine.stop()?.expect_code(0)?;
    Ok(())
}
