/** A guest book: what people write when they leave. */
namespace go guestbook

enum Mood { UNSTATED = 0, GLAD = 1, SAD = 2 }

struct Entry {
  1: string name
  2: string text
  3: optional Mood mood
  /** Seconds since 1970. */
  4: i64 signedAt
}

/** There is no page left. */
exception Full { 1: i32 pages }

service Guestbook {
  /** Returns the number of the entry, from 1. */
  i64 Sign(1: Entry entry) throws (1: Full full)
  /** The entries from a number on, at most limit. */
  list<Entry> Read(1: i64 first, 2: i32 limit = 10)
  map<Mood, i32> Moods()
  /** Takes a guest's entries out; nobody waits for it. */
  oneway void Forget(1: string name)
}
