package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// PebbleCatalog keeps the catalog in a pebble database. Its values are small and
// carry checksums of their own, because pebble's log cannot tell a torn end from
// a damaged middle. Pebble panics on some failures of the disk; in its background
// goroutines such a panic ends the process.
func PebbleCatalog(fs FS, dir string, logger *slog.Logger) (cat Catalog, err error) {
	c := &pebbleCatalog{}
	defer c.recovered(&err)
	cache := pebble.NewCache(1 << 20)
	defer cache.Unref()
	db, err := pebble.Open(dir, &pebble.Options{
		FS:                          fs,
		Cache:                       cache,
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                4 << 20,
		MemTableStopWritesThreshold: 4,
		MaxOpenFiles:                64,
		Logger:                      &pebbleLogger{logger: logger, failed: &c.failed},
	})
	if err != nil {
		return nil, fmt.Errorf("wal: open catalog: %w", err)
	}
	c.db = db
	if c.failed.Load() {
		return nil, errors.Join(errCatalogFailed, db.Close())
	}
	return c, nil
}

// recovered turns a panic of pebble into an error and the end of the catalog.
func (c *pebbleCatalog) recovered(err *error) {
	if p := recover(); p != nil {
		c.failed.Store(true)
		*err = fmt.Errorf("%w: %v", errCatalogFailed, p)
	}
}

var errCatalogFailed = errors.New("wal: catalog failed")

// pebbleLogger drops what pebble says about its own work. Pebble reports some
// failures by Fatalf alone and counts on never seeing it return; here the
// catalog refuses everything from then on, and it can be rebuilt.
type pebbleLogger struct {
	logger *slog.Logger
	failed *atomic.Bool
}

func (p *pebbleLogger) Infof(string, ...any) {}

func (p *pebbleLogger) Errorf(format string, args ...any) {
	p.logger.Warn("wal: catalog", "err", fmt.Sprintf(format, args...))
}

func (p *pebbleLogger) Fatalf(format string, args ...any) {
	p.failed.Store(true)
	p.logger.Error("wal: catalog failed", "err", fmt.Sprintf(format, args...))
}

type pebbleCatalog struct {
	db     *pebble.DB
	failed atomic.Bool
}

func (c *pebbleCatalog) Scan(prefix []byte, fn func(key, value []byte) error) error {
	if len(prefix) == 0 {
		prefix = nil // an empty bound is none; pebble's own checks index into one
	}
	it, err := c.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return fmt.Errorf("wal: scan catalog: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		if err := fn(it.Key(), it.Value()); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return fmt.Errorf("wal: scan catalog: %w", err)
	}
	return nil
}

// prefixEnd is the smallest key above all that begin with prefix; nil: none.
func prefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

func (c *pebbleCatalog) Apply(changes []CatalogChange, sync bool) (err error) {
	defer c.recovered(&err)
	if c.failed.Load() {
		return errCatalogFailed
	}
	b := c.db.NewBatch()
	for _, ch := range changes {
		var err error
		if ch.Value == nil {
			err = b.Delete(ch.Key, nil)
		} else {
			err = b.Set(ch.Key, ch.Value, nil)
		}
		if err != nil {
			return errors.Join(err, b.Close())
		}
	}
	o := pebble.NoSync
	if sync {
		o = pebble.Sync
	}
	if err := b.Commit(o); err != nil {
		return fmt.Errorf("wal: write catalog: %w", err)
	}
	if c.failed.Load() {
		return errCatalogFailed
	}
	return nil
}

func (c *pebbleCatalog) Close() (err error) {
	defer c.recovered(&err)
	if err := c.db.Close(); err != nil {
		return fmt.Errorf("wal: close catalog: %w", err)
	}
	return nil
}
