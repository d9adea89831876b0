"""decet beside its peers on the same work: `python -m benchmarks FAMILY... [--quick] [--only NAME] [--out FOLDER]`.

    measure.py       machinery: an idle machine, a process a contender, alternation, resumption
    child.py         the process a contender runs in: imports, then the work and its peak memory
    report.py        records -> medians, ratios, goals, markdown
    significance.py  corrected resampled t-test, Holm
    mlp.py           one plain multilayer perceptron, trained by every library
    dnn.py           the works of the family DNN: training speed and Adult's quality
    convnet.py       two convolutional networks, trained by every library
    pictures.py      what picture families share: speed, quality under a budget, baselines
    cnn.py           the works of the family CNN: training speed and MNIST's quality
    resnet.py        the works of the family ResNet: training speed, CIFAR-10's quality, a stream of files
    words.py         word vectors of a corpus, by decet, gensim and counts
    word2vec.py      the works of the family Word2Vec: speed, memory, similarity, growth, neighbours
    seeds.py         runs a quarter as long, of three seeds, beside those too long to repeat
    texts.py         accuracy of classifiers of texts
    language.py      what comes next in tiny Shakespeare, learned and written by every library
    equal_time.py    networks of the same size, judged after the same time
    lstm.py          the works of the family LSTM: training speed, tiny Shakespeare, WikiText-2
    transformer.py   the works of the family Transformer: training and decoding speed, tiny Shakespeare
    drawing.py       pictures drawn by decet and by plain loops, judged alike
    gan.py           the works of the family GAN: training speed, MNIST beside DCGAN
    diffusion.py     the works of the family Diffusion: training and drawing speed, MNIST beside a plain DDPM
    agents.py        agents by decet and Stable-Baselines3, watched alike; steps a second, replay memory
    dqn.py           the works of the family DQN: games beside the peer, control, frames, over-estimation
    costs.py         memory of a fit, one-row latency, start-up
    folds.py         small tables against scikit-learn's learners
    trust.py         coverage, calibration, label errors, strange rows, the time of a page
    referee.py       regret of choices under a third of the budget, and what comparing costs beside the fits
    kills.py         real kill -9, and what resumes

Run from the repository's root. Peers are optional: `pip install -c constraints.txt -e ".[bench]"`. Needs Linux (/proc).
"""
