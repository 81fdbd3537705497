// Replays the wire vectors of gen/golden with the official compiler's JavaScript code.
//
//     node golden.js FOLDER
//
// Each value is built from its JSON and written as Compact, Binary and msgpack; each of the three encodings is read back to the
// JSON. gen/golden/README.md describes the files. The types of the fields come from the official compiler too, which writes
// the IDL as JSON.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { isDeepStrictEqual } = require('node:util');
const msgpack = require('@msgpack/msgpack');
const thrift = require('thrift');
const Int64 = require('node-int64');
const classes = require('./build/raft_types');

const idl = JSON.parse(fs.readFileSync(path.join(__dirname, 'build', 'raft.json'), 'utf8'));
const structs = new Map(idl.structs.map((s) => [s.name, s]));
const PROTOCOLS = { compact: thrift.TCompactProtocol, binary: thrift.TBinaryProtocol };

// A form says what the scalars of a struct and the struct itself are in it.
const jsonForm = {
  get: (struct, field) => struct[field.name],
  scalar: { i64: (v) => v, binary: (v) => Buffer.from(v, 'hex') }, // to an intermediate: digits, Buffer, as they are
  back: { i64: (v) => v, binary: (v) => v.toString('hex') },
  make: (name, fields) => Object.fromEntries(fields.map(([f, v]) => [f.name, v])),
};
const classForm = {
  get: (struct, field) => struct[field.name],
  scalar: { i64: (v) => v.buffer.readBigInt64BE(v.offset).toString(), binary: (v) => v },
  back: { i64: int64, binary: (v) => v },
  make: (name, fields) => new classes[name](Object.fromEntries(fields.map(([f, v]) => [f.name, v]))),
};
const arrayForm = {
  get: (array, field) => array[field.key - 1],
  scalar: { i64: String, binary: (v) => Buffer.from(v) },
  back: { i64: smallest, binary: (v) => v },
  make: (name, fields) => {
    const array = [];
    for (const [f, v] of fields) array[f.key - 1] = v;
    return Array.from(array, (v) => v ?? null); // holes too
  },
};

function int64(text) {
  const b = Buffer.alloc(8);
  b.writeBigInt64BE(BigInt(text));
  return new Int64(b);
}

// smallest is a number where the library has a shorter form for it than 64 bits.
function smallest(text) {
  const n = BigInt(text);
  return n >= -(2n ** 31n) && n < 2n ** 32n ? Number(n) : n;
}

// convert turns a struct of one form into that of another.
function convert(name, struct, from, to) {
  const fields = [];
  for (const f of structs.get(name).fields) {
    const v = from.get(struct, f);
    if (v !== undefined && v !== null) fields.push([f, element(f.typeId, f.type, v, from, to)]);
  }
  return to.make(name, fields);
}

function element(typeId, type, v, from, to) {
  switch (typeId) {
    case 'struct':
    case 'exception':
      return convert(type.class, v, from, to);
    case 'list':
      return v.map((e) => element(type.elemTypeId, type.elemType, e, from, to));
    case 'i64':
    case 'binary':
      return to.back[typeId](from.scalar[typeId](v));
    default:
      return v;
  }
}

function encode(protocol, m) {
  let out;
  const transport = new thrift.TBufferedTransport(undefined, (b) => (out = b));
  m.write(new protocol(transport));
  transport.flush();
  return out;
}

function decode(protocol, name, data) {
  const m = new classes[name]();
  const transport = new thrift.TFramedTransport(data);
  m.read(new protocol(transport));
  if (transport.readPos !== data.length) throw new Error('bytes are left');
  return m;
}

function replay(folder) {
  const name = path.basename(path.dirname(folder));
  const value = JSON.parse(fs.readFileSync(path.join(folder, 'value.json'), 'utf8'));
  const built = convert(name, value, jsonForm, classForm);
  for (const [file, protocol] of Object.entries(PROTOCOLS)) {
    const data = readHex(path.join(folder, `${file}.hex`));
    const decoded = decode(protocol, name, data);
    check(`${file}, read`, convert(name, decoded, classForm, jsonForm), value);
    check(`${file}, written again`, encode(protocol, decoded).toString('hex'), data.toString('hex'));
    check(`${file}, written from JSON`, encode(protocol, built).toString('hex'), data.toString('hex'));
  }
  const data = readHex(path.join(folder, 'msgpack.hex'));
  const decoded = msgpack.decode(data, { useBigInt64: true });
  check('msgpack, read', convert(name, decoded, arrayForm, jsonForm), value);
  const written = msgpack.encode(convert(name, value, jsonForm, arrayForm), { useBigInt64: true });
  check('msgpack, written from JSON', Buffer.from(written).toString('hex'), data.toString('hex'));
}

function readHex(file) {
  return Buffer.from(fs.readFileSync(file, 'ascii').replaceAll('\n', ''), 'hex');
}

function check(what, got, want) {
  if (!isDeepStrictEqual(got, want)) {
    throw new Error(`${what}:\n got ${JSON.stringify(got)}\nwant ${JSON.stringify(want)}`);
  }
}

// vectors lists the folders of all cases.
function vectors(root) {
  const below = (dir) => fs.readdirSync(dir, { withFileTypes: true }).filter((e) => e.isDirectory()).map((e) => path.join(dir, e.name));
  return below(root).flatMap(below);
}

function main(args) {
  if (args.length !== 1) {
    console.error('usage: node golden.js FOLDER');
    return 2;
  }
  const folders = vectors(args[0]);
  let failed = 0;
  for (const folder of folders) {
    try {
      replay(folder);
    } catch (e) {
      failed++;
      console.error(`golden: ${path.relative(args[0], folder)}: ${e.message}`);
    }
  }
  if (folders.length === 0 || failed > 0) {
    console.error(`golden: ${failed} of ${folders.length} vectors failed`);
    return 1;
  }
  console.log(`golden: ${folders.length} vectors agree`);
  return 0;
}

process.exitCode = main(process.argv.slice(2));
