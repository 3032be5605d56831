package format

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"roster/problem"
)

// generated is a file that is not stored: begin, then fill again and again, then end.
type generated struct {
	begin, fill, end string
	size             int64
}

func (g generated) ReadAt(p []byte, offset int64) (int, error) {
	n := 0
	for n < len(p) && offset < g.size {
		var from string
		switch last := g.size - int64(len(g.end)); {
		case offset < int64(len(g.begin)):
			from = g.begin[offset:]
		case offset < last:
			at := int(offset-int64(len(g.begin))) % len(g.fill)
			from = g.fill[at:min(len(g.fill), at+int(min(last-offset, int64(len(g.fill)))))]
		default:
			from = g.end[offset-last:]
		}
		copied := copy(p[n:], from)
		n += copied
		offset += int64(copied)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// bomb returns what deflate (RFC 1951) makes of begin and many zeros. Each block of zeros is
// packed by itself, so that all are alike.
func bomb(t *testing.T, begin string, blocks int) []byte {
	t.Helper()
	pack := func(text []byte) []byte {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.BestSpeed)
		if err == nil {
			_, err = w.Write(text)
		}
		if err == nil {
			err = w.Flush()
		}
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	return slices.Concat(pack([]byte(begin)), bytes.Repeat(pack(make([]byte, 1<<20)), blocks), []byte{1, 0, 0, 0xff, 0xff})
}

// gzipOf returns a gzip (RFC 1952) of what deflate has packed, without its end.
func gzipOf(deflated []byte) []byte {
	return slices.Concat([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}, deflated)
}

// zipOf returns a zip with a file in it that deflate has packed.
func zipOf(t *testing.T, name string, deflated []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Deflate, CompressedSize64: uint64(len(deflated)), UncompressedSize64: 1 << 30})
	if err == nil {
		_, err = w.Write(deflated)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// manyEntries returns a zip of which the directory has so many entries, and its end says
// there is one.
func manyEntries(n int) []byte {
	var b bytes.Buffer
	b.WriteString("PK\x03\x04")
	entry := make([]byte, 46)
	copy(entry, "PK\x01\x02")
	start := b.Len()
	for range n {
		b.Write(entry)
	}
	end := make([]byte, 22)
	copy(end, "PK\x05\x06")
	binary.LittleEndian.PutUint16(end[8:], 1)
	binary.LittleEndian.PutUint16(end[10:], 1)
	binary.LittleEndian.PutUint32(end[12:], uint32(b.Len()-start))
	binary.LittleEndian.PutUint32(end[16:], uint32(start))
	b.Write(end)
	return b.Bytes()
}

// highWater returns the most memory that f has in use at any time, in bytes, over what there
// was before.
func highWater(f func()) uint64 {
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	var most uint64
	for {
		runtime.ReadMemStats(&now)
		most = max(most, now.HeapAlloc)
		select {
		case <-done:
			return most - min(most, before.HeapAlloc)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Files that were made to do harm are refused, or cost a row, with little memory. It does
// not run beside other tests, whose memory it would count.
func TestHostileFiles(t *testing.T) { //nolint:tparallel // see above
	if raced {
		t.Skip("the race detector takes memory of its own")
	}
	const header = "email,first_name,last_name\n"
	const ann, ben = "ann@example.com,Ann,Lee\n", "ben@example.com,Ben,Lee\n"
	stored := func(b []byte) (io.ReaderAt, int64) { return bytes.NewReader(b), int64(len(b)) }
	of := func(g generated) (io.ReaderAt, int64) { return g, g.size }
	text := func(s string) (io.ReaderAt, int64) { return stored([]byte(s)) }
	for _, c := range []struct {
		name string
		file func() (io.ReaderAt, int64)
		// err is in the error that ends the file, or empty if the file ends well.
		err string
		// faults is how many records have errors, and good how many have none.
		faults, good int
	}{
		{"a line of 80 MiB", func() (io.ReaderAt, int64) {
			return of(generated{begin: header + ann, fill: strings.Repeat("x", 1<<16), end: "\n" + ben, size: 80 << 20})
		}, "", 1, 2},
		{"a header of 80 MiB", func() (io.ReaderAt, int64) {
			return of(generated{begin: "email", fill: strings.Repeat("x", 1<<16), size: 80 << 20})
		}, "no names of columns", 0, 0},
		{"200,000 columns", func() (io.ReaderAt, int64) { return text("email" + strings.Repeat(",c", 200_000) + "\n" + ann) }, "too many cells", 0, 0},
		{"200,000 cells", func() (io.ReaderAt, int64) { return text(header + ann + strings.Repeat("c,", 200_000) + "\n" + ben) }, "", 1, 2},
		{"200,000 quoted cells", func() (io.ReaderAt, int64) { return text(header + ann + strings.Repeat(`"c",`, 200_000) + "\n" + ben) }, "", 1, 2},
		{"a cell of 10 MB", func() (io.ReaderAt, int64) {
			return text(header + ann + `x@example.com,"` + strings.Repeat("x", 10<<20) + "\",x\n" + ben)
		}, "", 1, 2},
		{"a quote that is never closed", func() (io.ReaderAt, int64) {
			return of(generated{begin: header + ann + `x@example.com,"X,Lee` + "\n", fill: ben, size: int64(len(header+ann)) + 21 + 300_000*int64(len(ben))})
		}, "", 1, 300_001},
		{"quotes on each line that are never closed", func() (io.ReaderAt, int64) {
			fill := "x@example.com,\"X,Lee\n"
			return of(generated{begin: header, fill: fill, size: int64(len(header)) + 300_000*int64(len(fill))})
		}, "", 300_000, 0},
		{"a gzip bomb", func() (io.ReaderAt, int64) { return stored(gzipOf(bomb(t, header, 100))) }, "300 times as large", 0, 0},
		{"a zip bomb", func() (io.ReaderAt, int64) { return stored(zipOf(t, "people.csv", bomb(t, header, 100))) }, "300 times as large", 0, 0},
		{"a bomb in the export of Kinde", func() (io.ReaderAt, int64) {
			return stored(zipOf(t, "users.ndjson", bomb(t, `{"id":"1"}`+"\n", 100)))
		}, "300 times as large", 0, 0},
		{"a zip with a million entries", func() (io.ReaderAt, int64) { return stored(manyEntries(1_000_000)) }, "too many entries", 0, 0},
		{"a file of 5 GB", func() (io.ReaderAt, int64) { return of(generated{begin: header, fill: ann, size: 5 << 30}) }, "more than 4096 MiB", 0, 0},
		{"brackets 900,000 deep", func() (io.ReaderAt, int64) {
			return text(`{"id":"1"}` + "\n" + `{"id":"x","properties":` + strings.Repeat("[", 450_000) + strings.Repeat("]", 450_000) + "}\n" + `{"id":"2"}`)
		}, "", 1, 2},
		{"a line of JSON of 80 MiB", func() (io.ReaderAt, int64) {
			return of(generated{begin: `{"id":"1"}` + "\n" + `{"id":"`, fill: strings.Repeat("x", 1<<16), end: "\"}\n" + `{"id":"2"}`, size: 80 << 20})
		}, "", 1, 2},
		{"an element of 80 MiB", func() (io.ReaderAt, int64) {
			return of(generated{begin: `[{"user_id":"1"},` + "\n" + `{"user_id":"`, fill: strings.Repeat("x", 1<<16), end: "\"},\n" + `{"user_id":"2"}]`, size: 80 << 20})
		}, "", 1, 2},
		{"an array of elements that do not end", func() (io.ReaderAt, int64) {
			return of(generated{begin: `[{"user_id":"1"},` + "\n", fill: `{"user_id":"x", "app_metadata": {},` + "\n", size: 8 << 20})
		}, "", 65, 1},
		{"100,000 names of members", func() (io.ReaderAt, int64) {
			var b strings.Builder
			for i := range 100_000 {
				fmt.Fprintf(&b, "{\"id\":\"%d\",\"n%d\":1}\n", i, i)
			}
			return text(b.String())
		}, "", 0, 100_000},
		{"300,000 faults in a row", func() (io.ReaderAt, int64) {
			return text(`{"id":"1"}` + "\n" + `{"id":"x","organizations":[` + strings.Repeat("[],", 300_000) + "[]]}\n" + `{"id":"2"}`)
		}, "", 1, 2},
		{"names of 900 KiB", func() (io.ReaderAt, int64) {
			name := strings.Repeat("x", 900<<10)
			return of(generated{begin: `{"id":"1"}` + "\n", fill: `{"id":"2","` + name + `":1}` + "\n", size: 11 + 80*int64(len(name)+16)})
		}, "", 0, 81},
		{"a row of 1,000 cells that are parts of one property", func() (io.ReaderAt, int64) {
			header, row := "id", "1"
			for i := range 990 {
				header, row = header+fmt.Sprintf(",user_metadata.n%d", i), row+","+strings.Repeat("x", 1000)
			}
			return of(generated{begin: header + "\n", fill: row + "\n", size: int64(len(header) + 1 + 20*(len(row)+1))})
		}, "", 0, 20},
		{"4 million blank lines", func() (io.ReaderAt, int64) {
			return of(generated{begin: header + ann, fill: strings.Repeat("\r", 1<<16), end: ben, size: 1 << 22})
		}, "", 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			file, size := c.file()
			var faults, good int
			var err error
			used := highWater(func() {
				var r *Reader
				r, err = Open(file, size, Options{})
				for err == nil {
					var record Record
					if record, err = r.Next(); err != nil {
						break
					}
					if good++; len(record.Errors) > 0 {
						good, faults = good-1, faults+1
					}
				}
			})
			runtime.KeepAlive(file)
			if c.err == "" && !errors.Is(err, io.EOF) || c.err != "" && (!problem.Is(err, problem.Invalid) || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("ends by %v, not %q", err, c.err)
			}
			if c.err == "" && (faults != c.faults || good != c.good) {
				t.Errorf("%d records with errors and %d without, not %d and %d", faults, good, c.faults, c.good)
			}
			if most := uint64(64 << 20); used > most {
				t.Errorf("%d MiB of memory", used>>20)
			}
		})
	}
}

// failing fails to read after a while.
type failing struct{ io.ReaderAt }

var errDisk = errors.New("the disk is gone")

func (f failing) ReadAt(p []byte, offset int64) (int, error) {
	if offset >= 256<<10 {
		return 0, errDisk
	}
	return f.ReaderAt.ReadAt(p, offset)
}

// An error of what the file is read from is no fault of the file.
func TestReadingFails(t *testing.T) {
	t.Parallel()
	csv := generated{begin: "email,first_name\n", fill: "ann@example.com,Ann\n", size: 4 << 20}
	var noise bytes.Buffer // does not become small
	noise.WriteString("email,first_name\n")
	for i := uint32(1); noise.Len() < 2<<20; i++ {
		fmt.Fprintf(&noise, "%x@example.com,%x\n", i*2654435761, i*40503)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(noise.Bytes()) //nolint:errcheck // a buffer takes everything
	z.Close()
	for name, file := range map[string]struct {
		io.ReaderAt
		size int64
	}{
		"plain": {csv, csv.size},
		"gzip":  {bytes.NewReader(b.Bytes()), int64(b.Len())},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := Open(failing{file}, file.size, Options{})
			for err == nil {
				_, err = r.Next()
			}
			if !errors.Is(err, errDisk) || len(problem.All(err)) > 0 {
				t.Error(err)
			}
			if _, again := r.Next(); !errors.Is(again, errDisk) {
				t.Error("then it goes on:", again)
			}
		})
	}
}
