package agent

import "os"

// replace puts a file with this content in the place of what is there, so that a reader
// sees the old one or the new one, and returns it open at its end. An attempt that fails
// leaves nothing: on a disk that is full it would take the space of the next.
func replace(path string, content []byte) (*os.File, error) {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(content); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		f.Close()
		_ = os.Remove(tmp) // that it could not be written is told
		return nil, err
	}
	return f, nil
}
