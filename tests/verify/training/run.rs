//! The run directory: what it saves, and what it refuses to resume.

use super::{Notes, recorder, run_settings, settings, small, trainer};
use ossia::checkpoint::{TensorFile, TensorToWrite, write_tensors};
use ossia::config::ModelConfig;
use ossia::layers::Layer;
use ossia::tensor::slice;
use ossia::train::recorder::truncate_samples;
use ossia::train::{Metrics, Monitor, RunDirectory, RunSettings, Trainer, metrics};

#[test]
fn training_saves_every_few_steps_and_after_the_last() {
    /// Reads which step is saved whenever a step was taken.
    struct Saves(RunDirectory, Vec<u64>);
    impl Monitor for Saves {
        fn stepped(&mut self, _: &Trainer, _: f32, _: Option<&Metrics>) {
            self.1.extend(self.0.resume(&run_settings(settings(8, 1, 4))).map(|saved| saved.optimizer.steps()));
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let run = RunDirectory::new(directory.path().join("run"));
    run.create(&run_settings(settings(8, 1, 4)), &small(), None).unwrap();
    let mut saves = Saves(run.clone(), Vec::new());
    trainer(settings(8, 1, 4)).run(Some(&recorder(&run)), &mut saves).unwrap();
    assert_eq!(saves.1, [3, 3, 3, 6, 6], "at the steps 4 to 8");
    assert_eq!(run.resume(&run_settings(settings(8, 1, 4))).unwrap().optimizer.steps(), 8);
    let lines = metrics::read(&run.metrics(), 8).unwrap();
    assert_eq!(lines.iter().map(|line| line.step).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(run.file("loss.svg").exists() == cfg!(feature = "plots") && run.file("best/model.safetensors").exists());
}

/// States of version 2 have the checksum beside the position, and those of version 1 have none.
#[test]
fn training_resumes_states_of_older_versions() {
    let directory = tempfile::tempdir().unwrap();
    let run = RunDirectory::new(directory.path().join("run"));
    let settings = run_settings(settings(2, 1, 4));
    run.create(&settings, &small(), None).unwrap();
    trainer(settings.settings.clone()).run(Some(&recorder(&run)), &mut Notes::new(u64::MAX)).unwrap();
    let path = run.file("state.safetensors");
    let new = run.resume(&settings).unwrap();
    let arrays: Vec<_> = {
        let file = TensorFile::open(&path).unwrap();
        let mut names: Vec<&str> = file.names().collect();
        names.sort_unstable();
        names.into_iter().map(|name| (name.to_string(), file.tensor(name, None).unwrap())).collect()
    };
    let position = serde_json::to_string(&new.position).unwrap();
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(position.as_bytes());
    for (name, array) in &arrays {
        hasher.update(name.as_bytes());
        array.iter().for_each(|x| hasher.update(&x.to_le_bytes()));
    }
    let checksum = format!("{:08x}", hasher.finalize());
    let write = |metadata: &[(&str, String)]| {
        let tensors =
            arrays.iter().map(|(name, array)| (name.clone(), TensorToWrite::f32(array.shape(), slice(array))));
        write_tensors(&path, tensors, metadata).unwrap();
    };
    write(&[("ossia", position.clone()), ("ossia-checksum", checksum)]);
    let second = run.resume(&settings).unwrap();
    assert_eq!(second.position, new.position);
    for (a, b) in second.model.parameters().into_iter().zip(new.model.parameters()) {
        assert_eq!(a.tensor().data(), b.tensor().data());
    }
    write(&[("ossia", position.clone()), ("ossia-checksum", "00000000".into())]);
    assert!(run.resume(&settings).err().unwrap().to_string().contains("its checksum does not fit"));
    write(&[("ossia", position)]);
    assert!(run.resume(&settings).err().unwrap().to_string().contains("its checksum does not fit"));
    assert_eq!(run.resume(&RunSettings { version: 1, ..settings }).unwrap().position, new.position);
}

/// The same run leaves the same bytes: nothing in its files has the order of a hash map.
#[test]
fn training_leaves_the_same_files_each_time() {
    let files = || {
        let directory = tempfile::tempdir().unwrap();
        let run = RunDirectory::new(directory.path().join("run"));
        run.create(&run_settings(settings(2, 1, 4)), &small(), None).unwrap();
        trainer(settings(2, 1, 4)).run(Some(&recorder(&run)), &mut Notes::new(u64::MAX)).unwrap();
        ["config.json", "model.safetensors", "state.safetensors"].map(|name| std::fs::read(run.file(name)).unwrap())
    };
    let first = files();
    assert!((0..8).all(|_| files() == first)); // two keys of a hash map would be in the same order in one of two cases
}

/// Every bit that flips, every byte that is lost, and every block of zeros is noticed.
#[test]
fn training_resumes_no_damaged_state() {
    let directory = tempfile::tempdir().unwrap();
    let run = RunDirectory::new(directory.path().join("run"));
    let settings = run_settings(settings(2, 1, 4));
    run.create(&settings, &small(), None).unwrap();
    trainer(settings.settings.clone()).run(Some(&recorder(&run)), &mut Notes::new(u64::MAX)).unwrap();
    assert!(run.resume(&settings).is_ok());
    let path = run.file("state.safetensors");
    let good = std::fs::read(&path).unwrap();
    let damage = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        run.resume(&settings).err().map(|error| error.to_string())
    };
    for at in (0..good.len()).step_by(good.len() / 300) {
        let error = damage(&|bytes| bytes[at] ^= 1 << (at % 8));
        assert!(error.is_some(), "bit {} of byte {at} of {}", at % 8, good.len());
    }
    let end = good.len();
    assert!(damage(&|bytes| bytes[end - 5000..end - 4000].fill(0)).unwrap().contains("its checksum does not fit"));
    assert!(damage(&|bytes| bytes.truncate(end - 1)).unwrap().contains("was it cut short?"));
    // Another configuration is not damage, but also not the same run.
    std::fs::write(&path, &good).unwrap();
    std::fs::write(run.file("config.json"), ModelConfig { rms_norm_eps: 1e-4, ..small() }.to_json()).unwrap();
    let error = run.resume(&settings).err().unwrap().to_string();
    assert!(error.contains("config.json: is not what the run was started with"), "{error}");
}

#[test]
fn training_cuts_samples_back_to_a_step() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("samples.txt");
    truncate_samples(&path, 3).unwrap();
    assert!(!path.exists(), "there is nothing to cut");
    let [first, second] = [&b"=== step 20\none\n === step 30\n\n"[..], b"=== step 40\n\xfftwo\n\n"];
    for (last, kept) in
        [(0, vec![]), (19, vec![]), (20, first.to_vec()), (39, first.to_vec()), (40, [first, second].concat())]
    {
        std::fs::write(&path, [first, second].concat()).unwrap();
        truncate_samples(&path, last).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), kept, "{last}");
    }
}

#[test]
fn training_refuses_to_overwrite_a_run_or_to_resume_none() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("diary.txt"), "dear diary").unwrap();
    let run = RunDirectory::new(directory.path());
    let error = run.create(&run_settings(settings(1, 1, 1)), &small(), None).unwrap_err().to_string();
    assert!(error.contains("already holds something"), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing was added");
    let error = run.lock().unwrap_err().to_string();
    assert!(error.contains("holds no run to --resume"), "{error}");
}
