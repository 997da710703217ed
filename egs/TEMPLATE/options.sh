# shellcheck shell=bash disable=SC2034  # the drivers use these
common_options=${BASH_SOURCE[0]} recipe_options=run.sh
# Options of every recipe. A driver sources this file, then adds its own options; a recipe's own
# options are the variables that its run.sh exports.

stage=1
stop_stage=10 # 11 packs what was trained, 12 uploads it
skip_data_prep=false    # stages 1 to 3
skip_train=false        # 4 to 7
skip_eval=false         # 8 to 10
skip_packing=false      # 11
skip_upload_hf=false    # 12
nj=2          # systems trained at a time, and processes of data stages; one thread each
ngpu=0        # GPUs of one training, with a process on each; decoding takes one. Of several at a time
              # each has its own, as far as there are enough
num_procs=1   # processes of one training without GPUs, which share each batch
num_nodes=1   # nodes of one training, each with this many GPUs or processes. Without --cluster, run
              # stage 5 on all nodes at once, by --stage 5 --stop_stage 5 --nj 1, with NODE_RANK from
              # 0 and MASTER_ADDR, the host of node 0, in the environment, and stage 7 in the same
              # way; all other stages on one node, without this option
dist_backend= # for several processes: nccl or gloo; default: nccl on GPUs, gloo without
cluster=      # run stages 3 to 9 and 11 as jobs of a cluster: NAME of conf/cluster/NAME.yaml (slurm,
              # local) in the recipe or at the top of the checkout; or a YAML
dry_run=false # with --cluster: show what would be submitted, and do nothing
seeds=0       # "0 1 2": distil and train with each of them
systems="teacher distilhubert cdm2_dat"  # or "all"
all_systems="teacher distilhubert cdm1 cdm2 cdm2_dat robust_plus logmel"
baseline=distilhubert                    # the system that others are compared with
budget=short                             # numbers of steps: conf/budget/*.yaml in the recipe or at
                                         # the top of the checkout
tag=                                     # experiments in exp/TAG instead of exp
expdir=exp                               # another directory for experiments
dumpdir=                                 # make data/ a link to this directory, say on a large disk
check_disk=true                          # false: warn of a disk that is too small, and go on
redo=false                               # delete trainings that were made of something else (another
                                         # configuration, data, teacher) and make them again

train_set=train
dev_set=dev
valid_set=                               # ESPnet's name for dev_set
test_sets="test"                         # undistorted; their copies are data/TESTSET_CONDITION
protocol=                                # conditions of the copies: names of conf/distortion/NAME.yaml
                                         # or YAMLs, or none; default: those of the noise source
train_distortion=                        # default: the one in each system's YAML
dev_distortion=                          # for selecting the best epoch; default: likewise, on dev data
asr_distortion=                          # train recognisers and classifiers on: train (the recipe's
                                         # mixture) or a YAML; default: clean speech. Give it its
                                         # own --tag; with --students it uses existing students
distill_set=                             # data dir to distil on; default: the training set
distill_dev_set=                         # data dir for selecting its best epoch; default: the dev set
students=        # use the students of another experiment, such as ../asr1/exp/full: no stage 5

pretrain_teacher=false                   # pretrain a teacher instead of using ${teacher}
pretrain_configs="conf/pretrain1.yaml conf/pretrain2.yaml"  # rounds; round N -> ${pretrain_out}N
pretrain_out=exp/teacher
pretrain_sets=                           # data dirs to pretrain on; default: the training set
teacher=                                 # hub id or directory; default: the one in the YAMLs

distill_config=                          # the recipe's changes to conf/distill/SYSTEM.yaml, or none;
                                         # default: its conf/distill.yaml, if it has one
distill_args=                            # ESPnet training options for distillation:
                                         # "--max_epoch 9 --optim_conf lr=0.0005"
checkpoint=valid.loss.best.pth           # model to decode with
results=                                 # RESULTS.md to which stage 10 adds its tables; everything
                                         # else in it stays
upload_hf=                               # USER/NAME on the hub, for stage 12; each model gets
                                         # USER/NAME-SYSTEM_seedN-asr (or -cls), -student
licence=other                            # licence of packed models, by its name on the hub: cc-by-4.0, ...
data_opts=                               # options of prepare_corpus: "--data_opts=--seed 1"
export download=false                    # download the corpus, if its licence allows that

noise_source=synthetic                   # or esc10, paper, own: conf/noise/*.yaml say what these
noise=                                   # directories hold; or a DIR with your noise/ and rir/
rir=
musan=
wham=
fsd50k=
dns=
