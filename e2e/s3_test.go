package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/longshore/longshore/e2e/chatter/script"
	"github.com/longshore/longshore/e2e/server"
)

// A bucket is one of a service that stands for S3. Objects do not change, so each is read once.
type bucket struct {
	url  string
	read map[string][]string // messages by key
}

func newBucket(at string) bucket { return bucket{at + "/logs", map[string][]string{}} }

// get returns what there is. moto answers who says who he is.
func (b bucket) get(t *testing.T, path string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/s3/aws4_request, "+
		"SignedHeaders=host, Signature=none")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return content
}

// keys returns those of all objects.
func (b bucket) keys(t *testing.T) (all []string) {
	t.Helper()
	more := ""
	for {
		var list struct {
			Contents              []struct{ Key string }
			IsTruncated           bool
			NextContinuationToken string
		}
		text := b.get(t, "?list-type=2"+more)
		if err := xml.Unmarshal(text, &list); err != nil {
			t.Fatalf("listing the bucket: %v: %s", err, text)
		}
		for _, object := range list.Contents {
			all = append(all, object.Key)
		}
		if !list.IsTruncated {
			return all
		}
		more = "&continuation-token=" + url.QueryEscape(list.NextContinuationToken)
	}
}

// messages returns those of all records, how often each is there, and how many objects there are.
func (b bucket) messages(t *testing.T) (times map[string]int, objects int) {
	t.Helper()
	times = map[string]int{}
	keys := b.keys(t)
	for _, key := range keys {
		if strings.HasSuffix(key, ".probe") { // soon deleted
			continue
		}
		if _, known := b.read[key]; !known {
			b.read[key] = messagesIn(t, key, b.get(t, "/"+key))
		}
		for _, message := range b.read[key] {
			times[message]++
		}
	}
	return times, len(keys)
}

func messagesIn(t *testing.T, key string, content []byte) (all []string) {
	t.Helper()
	for line := range strings.Lines(string(unpacked(t, key, content))) {
		var record struct{ Message string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("%s: %v: %q", key, err, line)
		}
		all = append(all, record.Message)
	}
	return all
}

func unpacked(t testing.TB, key string, content []byte) []byte {
	t.Helper()
	var from io.Reader
	var err error
	if strings.HasSuffix(key, ".zst") {
		from, err = zstd.NewReader(bytes.NewReader(content))
	} else {
		from, err = gzip.NewReader(bytes.NewReader(content))
	}
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	text, err := io.ReadAll(from)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return text
}

// A lateDoor stands before a bucket. Some requests get through and have no answer, others get
// through only when whoever sent them has long given up, or is dead.
type lateDoor struct {
	*httptest.Server
	behind string
	late   sync.WaitGroup

	mu      sync.Mutex
	random  *rand.Rand
	honest  bool
	refused int // late requests that came to nothing
}

func newLateDoor(t *testing.T, behind string) *lateDoor {
	d := &lateDoor{behind: behind, random: rand.New(rand.NewPCG(1, 2))}
	d.Server = httptest.NewServer(d)
	t.Cleanup(func() {
		d.Close()
		d.late.Wait()
	})
	return d
}

func (d *lateDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, _ := io.ReadAll(r.Body)
	d.mu.Lock()
	fate := d.random.IntN(6)
	if d.honest || r.Method != http.MethodPut {
		fate = 5
	}
	d.mu.Unlock()
	switch fate {
	case 0: // done, and nobody hears of it
		_, _ = d.pass(r, content)
		<-r.Context().Done()
	case 1: // late
		again := r.Clone(context.WithoutCancel(r.Context()))
		d.late.Go(func() {
			time.Sleep(4 * time.Second)
			if answer, err := d.pass(again, content); err == nil && answer.Code == http.StatusPreconditionFailed {
				d.mu.Lock()
				d.refused++
				d.mu.Unlock()
			}
		})
		<-r.Context().Done()
	default:
		answer, err := d.pass(r, content)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}
}

func (d *lateDoor) pass(r *http.Request, content []byte) (*httptest.ResponseRecorder, error) {
	req, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), r.Method, d.behind+r.URL.RequestURI(),
		bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	req.Header = r.Header.Clone()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer := httptest.NewRecorder()
	for name, values := range resp.Header {
		answer.Header()[name] = values
	}
	answer.WriteHeader(resp.StatusCode)
	_, err = io.Copy(answer.Body, resp.Body)
	return answer, err
}

// s3Services are those that stand for S3, each with the bucket "logs".
var s3Services = map[string]func(t *testing.T) string{
	"gofakes3": func(t *testing.T) string { return server.GoFakeS3(t, "logs") },
	"moto": func(t *testing.T) string {
		at := server.Moto(t)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, at+"/logs", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return at
	},
}

// TestS3OverKills kills the agent again and again, behind a door that loses answers and lets
// requests through late. Every record is in the bucket once, in all objects together.
func TestS3OverKills(t *testing.T) {
	for name, start := range s3Services {
		t.Run(name, func(t *testing.T) {
			at := start(t)
			door := newLateDoor(t, at)
			w := writer{name: "shop", format: "json", lines: 40_000}
			file := filepath.Join(t.TempDir(), "shop.log")
			a := newAgent(t, fmt.Sprintf(`
inputs: {files: {type: file, paths: [%s]}}
outputs:
  bucket:
    type: s3
    bucket: logs
    endpoint: %s
    access_key_id: id
    secret_access_key: ${S3_KEY}
    prefix: "logs/{level}/{yyyy-MM-dd}/"
    compression: %s
    max_age: 1s
    timeout: 2s
    batch: {max_bytes: 200KiB}
    retry: {max_backoff: 1s}
`, file, door.URL, map[string]string{"gofakes3": "gzip", "moto": "zstd"}[name]), "S3_KEY=canary-key")
			const kills = 15
			logs := newBucket(at)
			for i := range kills {
				fill(t, file, w, i*w.lines/kills, (i+1)*w.lines/kills)
				a.start()
				time.Sleep(time.Duration(500+500*(i%6)) * time.Millisecond)
				a.kill()
			}
			door.mu.Lock()
			door.honest = true
			door.mu.Unlock()
			a.start()
			a.delivered("bucket", 1)
			eventually(t, "everything in the bucket", 2*time.Minute, func() (bool, string) {
				status, text := a.ask("/ready")
				times, objects := logs.messages(t)
				return len(times) == w.lines && status == http.StatusOK, fmt.Sprintf("%d of %d lines in %d objects; %s",
					len(times), w.lines, objects, text)
			})
			a.stop()
			door.late.Wait()
			times, objects := logs.messages(t)
			repeated := 0
			for i := range w.lines {
				switch n := times[script.Message(w.name, i)]; n {
				case 1:
				case 0:
					t.Fatalf("line %d is missing", i)
				default:
					repeated++
				}
			}
			t.Logf("%d lines in %d objects; %d late requests came to nothing", w.lines, objects, door.refused)
			if repeated > 0 || len(times) != w.lines {
				t.Errorf("%d lines are there more than once, and there are %d, want %d", repeated, len(times), w.lines)
			}
			if door.refused == 0 {
				t.Error("no late request was kept from making an object; the test shows less than it should")
			}
			nowhere(t, a, "canary-key")
		})
	}
}
