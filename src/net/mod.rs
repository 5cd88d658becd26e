//! Sockets, TLS, HTTP client and server as all plugins use them.
