typedef uuid ID
const uuid PLAIN = "00112233-4455-6677-8899-aaBBccDDeeFF"
const ID BRACES = '{00112233-4455-6677-8899-aabbccddeeff}'
const uuid COPY = PLAIN
struct S {
  1: uuid id = COPY
  2: optional map<uuid, ID> ids = {"00000000-0000-0000-0000-000000000001": "00000000-0000-0000-0000-000000000002"}
  3: i32 uuid
}
