//! Runs the thrift compiler that is installed.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() {
    let idl = "../../../idl/raft.thrift";
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    println!("cargo:rerun-if-changed={idl}");
    let status = Command::new("thrift")
        .args(["-out", &out, "--gen", "rs", idl])
        .status()
        .expect("run thrift: is the package thrift-compiler installed?");
    assert!(status.success(), "thrift ended with {status}");

    // What is included in a module cannot set attributes for it: src/main.rs has them instead.
    let generated = Path::new(&out).join("raft.rs");
    let text = fs::read_to_string(&generated).expect("read what thrift wrote");
    let body: String = text
        .lines()
        .filter(|line| !line.starts_with("#!["))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(&generated, body).expect("write it again");
}
