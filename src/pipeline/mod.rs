//! Builds, runs, reloads and stops what a configuration describes.
