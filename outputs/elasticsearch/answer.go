package elasticsearch

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/longshore/longshore/pipeline/event"
)

// An item is the outcome of one record in a bulk answer.
type item struct {
	status       int
	detail       errorDetail
	failureStore bool // it was stored, but in the failure store
}

// An errorDetail is an error as Elasticsearch describes it.
type errorDetail struct {
	errorType, reason, cause string
	// plain is set if it was a text and no object, as of the layer that no document reaches.
	plain bool
}

// String returns the error in one line, bounded.
func (p errorDetail) String() string {
	s := p.errorType
	switch {
	case s == "" && p.reason == "":
		return "no reason was given"
	case s == "":
		s = p.reason
	case p.reason != "":
		s += ": " + p.reason
	}
	if p.cause != "" && p.cause != p.reason {
		s += " (" + p.cause + ")"
	}
	return oneLine(s[:min(len(s), maxText)])
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

const (
	// maxText bounds the strings kept of an answer.
	maxText  = 1 << 10
	maxDepth = 64
	// maxAnswer and maxAnswerItem bound an answer, in all and for each record sent.
	maxAnswer     = 1 << 20
	maxAnswerItem = 64 << 10
)

// errNotBulk is of an answer that is not a bulk request's at all, but of whoever stands between, or
// of another server.
var errNotBulk = errors.New("it is no bulk answer")

// maxHead is how much of such an answer is told.
const maxHead = 120

// readAnswer reads the answer to a bulk request of n records and calls take with each item, which
// it may not keep. Fewer or more items are an error. The answer is never in memory as a whole.
func readAnswer(body io.Reader, n int, take func(i int, it *item)) error {
	d := answers.Get().(*decoder)
	defer d.release()
	d.r.Reset(io.LimitReader(body, maxAnswer+int64(n)*maxAnswerItem))
	if _, err := d.r.Peek(1); err == io.EOF {
		return fmt.Errorf("%w: it is empty", errNotBulk)
	}
	seen := -1
	head, _ := d.r.Peek(min(maxHead, d.r.Buffered()))
	d.head = append(d.head[:0], head...)
	err := d.object(0, func(key []byte) error {
		if string(key) != "items" || seen >= 0 {
			return d.skip(1)
		}
		seen = 0
		return d.array(1, func() error {
			if seen == n {
				return fmt.Errorf("it has more items than the %d records sent", n)
			}
			if err := d.item(); err != nil {
				return fmt.Errorf("item %d: %w", seen, err)
			}
			take(seen, &d.current)
			seen++
			return nil
		})
	})
	switch {
	case seen < 0 && (err == nil || errors.Is(err, errUnexpected)):
		return fmt.Errorf("%w, but begins with %q", errNotBulk, d.head)
	case err != nil:
		return err
	case seen < n:
		return fmt.Errorf("it has %d items, but %d records were sent", seen, n)
	}
	return nil
}

var answers = sync.Pool{New: newDecoder}

// A decoder reads what is needed of the JSON of a bulk answer, without allocating for each item.
type decoder struct {
	r       *bufio.Reader
	key     [32]byte
	current item
	buf     []byte
	head    []byte // how the answer begins

	// Closures, made once to save an allocation for each item.
	readAction, readField func(key []byte) error
}

func newDecoder() any {
	d := &decoder{r: bufio.NewReaderSize(nil, 16<<10)}
	d.readField = d.itemField
	d.readAction = func([]byte) error { return d.object(3, d.readField) }
	return d
}

func (d *decoder) release() {
	d.r.Reset(nil)
	answers.Put(d)
}

// usualItem is what nearly all items are, byte by byte.
const usualItem = `{"create":{"status":201}}`

// item reads {"create":{"status":201,…}}.
func (d *decoder) item() error {
	d.current = item{}
	if head, _ := d.r.Peek(min(len(usualItem), d.r.Buffered())); string(head) == usualItem {
		d.current.status = http.StatusCreated
		_, err := d.r.Discard(len(usualItem))
		return err
	}
	err := d.object(2, d.readAction)
	if err == nil && d.current.status == 0 {
		return errors.New("it has no status")
	}
	return err
}

func (d *decoder) itemField(key []byte) error {
	switch string(key) {
	case "status":
		n, err := d.readNumber()
		d.current.status = n
		return err
	case "failure_store":
		s, err := d.readText(4)
		d.current.failureStore = s == "used"
		return err
	case "error":
		return d.errorDetail(4, &d.current.detail)
	}
	return d.skip(4)
}

// errorDetail reads an error: an object, or plain text.
func (d *decoder) errorDetail(depth int, p *errorDetail) error {
	c, err := d.peek()
	if err != nil {
		return err
	}
	if c != '{' {
		p.reason, err = d.readText(depth)
		return err
	}
	return d.object(depth, func(key []byte) error {
		var err error
		switch string(key) {
		case "type":
			p.errorType, err = d.readText(depth + 1)
		case "reason":
			p.reason, err = d.readText(depth + 1)
		case "caused_by":
			var cause errorDetail
			err = d.errorDetail(depth+1, &cause)
			p.cause = cause.reason
		default:
			err = d.skip(depth + 1)
		}
		return err
	})
}

// object reads an object and calls each for every key, to read its value.
func (d *decoder) object(depth int, each func(key []byte) error) error {
	return d.list(depth, '{', '}', func() error {
		key, err := d.readString(d.key[:0], len(d.key))
		if err != nil {
			return err
		}
		if err := d.expect(':'); err != nil {
			return err
		}
		return each(key)
	})
}

func (d *decoder) array(depth int, each func() error) error {
	return d.list(depth, '[', ']', each)
}

func (d *decoder) list(depth int, open, end byte, each func() error) error {
	if depth > maxDepth {
		return errors.New("it is nested too deep")
	}
	if err := d.expect(open); err != nil {
		return err
	}
	c, err := d.peek()
	if err != nil {
		return err
	}
	if c == end {
		return d.expect(end)
	}
	for {
		if err := each(); err != nil {
			return err
		}
		c, err := d.next()
		if err != nil {
			return err
		}
		if c == end {
			return nil
		}
		if c != ',' {
			return unexpected(c)
		}
	}
}

func (d *decoder) skip(depth int) error {
	c, err := d.peek()
	if err != nil {
		return err
	}
	switch c {
	case '{':
		return d.object(depth, func([]byte) error { return d.skip(depth + 1) })
	case '[':
		return d.array(depth, func() error { return d.skip(depth + 1) })
	case '"':
		_, err = d.readString(nil, 0)
		return err
	}
	_, err = d.readScalar(nil)
	return err
}

// readText reads a string, bounded; for another value it returns "".
func (d *decoder) readText(depth int) (string, error) {
	if c, err := d.peek(); err != nil || c != '"' {
		if err != nil {
			return "", err
		}
		return "", d.skip(depth)
	}
	inside, err := d.readString(d.buf[:0], maxText)
	d.buf = inside[:0]
	return string(event.AppendUnescaped(nil, inside)), err
}

// readString reads a string, and appends up to limit bytes of what is between its quotes.
func (d *decoder) readString(dst []byte, limit int) ([]byte, error) {
	if err := d.expect('"'); err != nil {
		return dst, err
	}
	for escaped := false; ; {
		c, err := d.r.ReadByte()
		if err != nil {
			return dst, unexpectedEOF(err)
		}
		if c == '"' && !escaped {
			return dst, nil
		}
		escaped = c == '\\' && !escaped
		if len(dst) < limit {
			dst = append(dst, c)
		}
	}
}

func (d *decoder) readNumber() (int, error) {
	var room [32]byte
	digits, err := d.readScalar(room[:0])
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(digits))
	if err != nil {
		return 0, fmt.Errorf("%q is no status", string(digits))
	}
	return n, nil
}

// readScalar reads a number or a word, and returns its first 32 bytes.
func (d *decoder) readScalar(dst []byte) ([]byte, error) {
	if c, err := d.peek(); err != nil || !isScalar(c) {
		if err == nil {
			err = unexpected(c)
		}
		return dst, err
	}
	for {
		c, err := d.r.ReadByte()
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
		if !isScalar(c) {
			return dst, d.r.UnreadByte()
		}
		if len(dst) < 32 {
			dst = append(dst, c)
		}
	}
}

func isScalar(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '+' || c == '.'
}

// next reads the next byte that is not white space.
func (d *decoder) next() (byte, error) {
	for {
		c, err := d.r.ReadByte()
		if err != nil {
			return 0, unexpectedEOF(err)
		}
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c, nil
		}
	}
}

func (d *decoder) peek() (byte, error) {
	c, err := d.next()
	if err != nil {
		return 0, err
	}
	return c, d.r.UnreadByte()
}

func (d *decoder) expect(want byte) error {
	c, err := d.next()
	if err == nil && c != want {
		err = unexpected(c)
	}
	return err
}

// errUnexpected is of an answer that is not the JSON it should be.
var errUnexpected = errors.New("it is not the JSON of a bulk answer")

func unexpected(c byte) error { return fmt.Errorf("%w: unexpected %q", errUnexpected, c) }

func unexpectedEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
